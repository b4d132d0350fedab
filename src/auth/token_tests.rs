//! Valid, expired, forged and malformed tokens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::*;
use crate::domain::{AccountStatus, PendingCodes, Role};

const NOW: Timestamp = Timestamp::from_millis(1_795_249_336_000);
const ID: &str = "6b0154b6789b7d07c9ad717a";

fn tokens() -> Tokens {
    Tokens::new(&Secret::from("mysecretkey"), DEFAULT_LIFETIME)
}

fn user() -> User {
    User {
        id: ID.parse().unwrap(),
        number: 7,
        name: "Ann".into(),
        email: None,
        password_hash: None,
        role: Role::Admin,
        status: AccountStatus::Active,
        pending_codes: PendingCodes::new(),
        sessions: crate::domain::Sessions::default(),
        profile: crate::domain::Profile::default(),
        created_at: NOW,
        updated_at: NOW,
    }
}

fn signed(claims: &Value) -> String {
    encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(b"mysecretkey")).unwrap()
}

fn verified(claims: &Value) -> Result<Subject, TokenError> {
    tokens().verify(&signed(claims), NOW).map(|identity| identity.subject)
}

fn later() -> i64 {
    NOW.seconds() + 60
}

#[test]
fn an_issued_token_has_exactly_four_claims_and_is_accepted_until_it_expires() {
    let token = tokens().issue(user().id, user().role, NOW);
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&payload).unwrap();
    let exp = NOW.seconds() + 24 * 3600;
    assert_eq!(claims, json!({"id": ID, "role": "admin", "iat": NOW.seconds(), "exp": exp}));
    let expires_at = Timestamp::from_millis(exp * 1000);
    let found = tokens().verify(&token, NOW).unwrap();
    assert_eq!(found.token.issued_at, Some(NOW.seconds()));
    let identity = Identity { subject: Subject::Id(user().id), expires_at, token: found.token };
    assert_eq!(tokens().verify(&token, NOW), Ok(identity));
    assert_eq!(tokens().verify(&token, Timestamp::from_millis(exp * 1000 - 1)), Ok(identity));
    assert_eq!(tokens().verify(&token, expires_at), Err(TokenError::Expired));
}

#[test]
fn the_claim_sets_of_all_dialects_are_accepted() {
    let id = Ok(Subject::Id(user().id));
    for (claims, subject) in [
        (json!({"id": ID, "role": "user", "exp": later()}), id),
        (json!({"user_id": ID, "is_staff": true, "username": "é", "token_type": "access", "exp": later()}), id),
        (json!({"user_id": "42", "token_type": "access", "exp": later(), "jti": "x"}), Ok(Subject::Number(42))),
        (json!({"user_id": 42, "token_type": "access", "exp": later()}), Ok(Subject::Number(42))),
        (json!({"id": ID, "exp": later(), "aud": "somebody"}), id),
    ] {
        assert_eq!(verified(&claims), subject, "{claims}");
    }
}

#[test]
fn claims_that_do_not_name_one_account_for_this_use_are_invalid() {
    for claims in [
        json!({"user_id": 42, "token_type": "refresh", "exp": later()}),
        json!({"id": ID, "token_type": "refresh", "exp": later()}),
        json!({"user_id": 42, "exp": later()}),
        json!({"id": ID, "user_id": 42, "token_type": "access", "exp": later()}),
        json!({"id": 42, "exp": later()}),
        json!({"id": {"$ne": null}, "exp": later()}),
        json!({"id": "é".repeat(12), "exp": later()}),
        json!({"user_id": "+42", "token_type": "access", "exp": later()}),
        json!({"user_id": "", "token_type": "access", "exp": later()}),
        json!({"user_id": -1, "token_type": "access", "exp": later()}),
        json!({"user_id": 4.2, "token_type": "access", "exp": later()}),
        json!({"user_id": "9".repeat(23), "token_type": "access", "exp": later()}),
        json!({"exp": later()}),
        json!({}),
        json!([ID]),
        json!("text"),
        json!(null),
    ] {
        assert_eq!(verified(&claims), Err(TokenError::Invalid), "{claims}");
    }
}

#[test]
fn the_expiry_is_required_and_must_be_an_integer() {
    assert_eq!(verified(&json!({"id": ID})), Err(TokenError::Invalid));
    for exp in [json!(later().to_string()), json!(1.9e9), json!(null), json!([later()]), json!(u64::MAX), json!(true)] {
        assert_eq!(verified(&json!({"id": ID, "exp": exp})), Err(TokenError::Invalid), "{exp}");
    }
    for exp in [NOW.seconds(), 0, -1, i64::MIN] {
        assert_eq!(verified(&json!({"id": ID, "exp": exp})), Err(TokenError::Expired), "{exp}");
    }
    assert!(verified(&json!({"id": ID, "exp": i64::MAX})).is_ok());
}

#[test]
fn a_token_is_not_valid_before_its_nbf() {
    assert!(verified(&json!({"id": ID, "exp": later(), "nbf": NOW.seconds()})).is_ok());
    for nbf in [json!(NOW.seconds() + 1), json!("0"), json!(0.5)] {
        assert_eq!(verified(&json!({"id": ID, "exp": later(), "nbf": nbf})), Err(TokenError::Invalid), "{nbf}");
    }
}

#[test]
fn only_our_signature_with_our_algorithm_is_accepted() {
    let claims = json!({"id": ID, "role": "admin", "exp": later()});
    let payload = URL_SAFE_NO_PAD.encode(claims.to_string());
    let valid = signed(&claims);
    let signature = valid.rsplit('.').next().unwrap();
    let head = |header: &str| URL_SAFE_NO_PAD.encode(header);
    let other_key = encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(b"other")).unwrap();
    let mut forged = vec![
        other_key,
        format!("{}.{payload}.", head(r#"{"alg":"none"}"#)),
        format!("{}.{payload}.{signature}", head(r#"{"alg":"none"}"#)),
        format!("{}.{payload}", head(r#"{"alg":"none"}"#)),
        format!("{}.{payload}.{signature}", head(r#"{"typ":"JWT"}"#)),
        format!("{}.{payload}.", head(r#"{"typ":"JWT","alg":"HS256"}"#)),
        format!("{}.{payload}.AAAA", head(r#"{"typ":"JWT","alg":"HS256"}"#)),
        format!("{valid}."),
        format!(".{valid}"),
        valid.replace('.', ""),
        valid[..valid.len() - 2].to_owned(),
    ];
    for algorithm in [Algorithm::HS384, Algorithm::HS512] {
        forged.push(encode(&Header::new(algorithm), &claims, &EncodingKey::from_secret(b"mysecretkey")).unwrap());
    }
    for token in forged {
        assert_eq!(tokens().verify(&token, NOW), Err(TokenError::Invalid), "{token}");
    }
}

#[test]
fn an_unknown_critical_header_is_rejected() {
    let mut header = Header::new(Algorithm::HS256);
    header.crit = Some(vec!["exp".into()]);
    let claims = json!({"id": ID, "exp": later()});
    let token = encode(&header, &claims, &EncodingKey::from_secret(b"mysecretkey")).unwrap();
    assert_eq!(tokens().verify(&token, NOW), Err(TokenError::Invalid));
}

#[test]
fn garbage_is_invalid_and_an_empty_token_missing() {
    assert_eq!(tokens().verify("", NOW), Err(TokenError::Missing));
    for text in ["null", ".", "..", "...", "a.b.c", "\0", "é.é.é", " ", "[object Object]"] {
        assert_eq!(tokens().verify(text, NOW), Err(TokenError::Invalid), "{text:?}");
    }
    for text in ["a".repeat(1_000_000), ".".repeat(1_000_000), format!("{}.", "e30".repeat(300_000))] {
        assert_eq!(tokens().verify(&text, NOW), Err(TokenError::Invalid));
    }
}

#[test]
fn the_scheme_before_a_token_is_stripped() {
    for (value, token) in [
        ("Bearer abc", "abc"),
        ("bearer  abc ", "abc"),
        ("Bearer", ""),
        ("Bearer ", ""),
        ("", ""),
        ("abc", "abc"),
        ("Bearerabc", "Bearerabc"),
        ("ééé", "ééé"),
    ] {
        assert_eq!(without_bearer(value), token, "{value:?}");
        assert_eq!(token_in_header(value), token, "{value:?}");
    }
    for other in ["Basic eDp5", "basic eDp5", "Digest a=b, c=d"] {
        assert_eq!(token_in_header(other), "", "{other}");
    }
}

#[test]
fn debug_does_not_show_the_keys() {
    assert!(!format!("{:?}", tokens()).contains("mysecretkey"));
}
