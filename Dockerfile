# syntax=docker/dockerfile:1

FROM rust:1.95-slim-trixie AS build
# The image has the C compiler that SQLite, ring and jemalloc need; jemalloc is also built with make.
RUN apt-get update && apt-get install --yes --no-install-recommends make && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Cargo.toml Cargo.lock README.md ./
COPY .cargo .cargo
COPY src src
COPY examples examples
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin deskline && cp target/release/deskline /usr/local/bin/deskline \
    && strip /usr/local/bin/deskline \
    && mkdir -p /data

# An image with glibc only, and no shell. The program includes its certificates, time zones and SQLite.
FROM gcr.io/distroless/cc-debian13:nonroot
COPY --from=build /usr/local/bin/deskline /usr/local/bin/deskline
COPY --from=build --chown=65532:65532 /data /data
# The data file, unless DESKLINE_MONGODB_URI is set; and attachments.
VOLUME /data
WORKDIR /data
ENV DESKLINE_LISTEN=0.0.0.0:3000
EXPOSE 3000
USER 65532:65532
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["/usr/local/bin/deskline", "health"]
ENTRYPOINT ["/usr/local/bin/deskline"]
