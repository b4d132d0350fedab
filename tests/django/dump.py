"""Fills a database through a real Django, with the models of one of the two products, and dumps it with `dumpdata`.

    dump.py shop|portal DUMP MEDIA_ROOT
"""

import datetime
import os
import sys
import uuid

import django
from django.conf import settings

product, dump, media = sys.argv[1:]
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=[
        "django.contrib.contenttypes",
        "django.contrib.auth",
        "django.contrib.sessions",
        *(["shop"] if product == "shop" else ["accounts", "chat"]),
    ],
    AUTH_USER_MODEL="auth.User" if product == "shop" else "accounts.User",
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    MEDIA_ROOT=media,
    PASSWORD_HASHERS=["hashers.Quick"],
    USE_TZ=True,
)
django.setup()

from django.contrib.auth import get_user_model  # noqa: E402
from django.core.files.base import ContentFile  # noqa: E402
from django.core.management import call_command  # noqa: E402

User = get_user_model()


def at(second):
    """A time on the day of the test, with microseconds as in a database."""
    start = datetime.datetime(2026, 11, 20, 8, 0, 0, 123456, tzinfo=datetime.timezone.utc)
    return start + datetime.timedelta(seconds=second)


def shop():
    from shop.models import ChatMessage, ChatRoom

    def user(username, email, **fields):
        return User.objects.create_user(username, email, "secret-" + username, date_joined=at(0), **fields)

    def room(number, last, status="active", **fields):
        id = uuid.UUID(f"00000000-0000-4000-8000-{number:012}")
        return ChatRoom.objects.create(
            id=id, status=status, created_at=at(number), updated_at=at(last), last_message_at=at(last), **fields
        )

    def say(room, second, by, text, name="", read=False, user=None):
        ChatMessage.objects.create(
            room=room, sender_type=by, sender_name=name, sender_user=user, content=text, is_read=read, created_at=at(second)
        )

    ada = user("ada", "ada@shop.test", first_name="Ada", last_name="Min", is_staff=True, is_superuser=True)
    user("bea", "bea@shop.test", is_staff=True)
    ann = user("ann", "Ann@shop.test", first_name="Ann", last_name="Lee")
    user("twin", "ann@shop.test", first_name="Mary Ann", last_name="Smith")
    user("mute", "")
    user("shut", "shut@shop.test", is_active=False)

    signed_in = room(1, 110, "active", user=ann, customer_name="Ann")
    say(signed_in, 103, "admin", "third", "Ada Min (ada@shop.test)", True)
    say(signed_in, 101, "customer", "first", "Ann", True)
    say(signed_in, 102, "customer", " second ", "Ann", True, ann)
    say(signed_in, 110, "customer", "fourth", "Customer")
    older = room(2, 50, "closed", user=ann, customer_name="Ann")
    say(older, 50, "customer", "long ago", "Ann", True)
    visitor = room(3, 201, "waiting", customer_name="Vi", customer_email="vi@x.test", customer_phone="1", customer_session="s" * 32)
    say(visitor, 200, "admin", "may I help?", "bea", True)
    say(visitor, 201, "customer", "yes", "Vi")
    earlier = room(4, 150, "active", customer_name="Vi", customer_session="s" * 32)
    say(earlier, 150, "customer", "not mine any more", "Vi")
    say(earlier, 151, "customer", "   ", "Vi")
    room(5, 5, "closed", customer_name="Nemo")


def portal():
    from accounts.models import OTP
    from chat.models import ChatMessage, ChatNotification, ChatRoom

    def user(pk, email, **fields):
        fields = {"is_verified": True, "created_at": at(0), "updated_at": at(1)} | fields
        return User.objects.create_user(email.split("@")[0], email, "secret-1", id=pk, **fields)

    adm = user(2, "adm@portal.test", first_name="Ad", last_name="Min", user_type="admin")
    uma = user(
        7, "uma@portal.test", first_name="Uma Mae", last_name="One", phone_number="+49 1", date_of_birth=datetime.date(1990, 2, 28)
    )
    late = user(8, "late@portal.test", is_verified=False, is_active=False)
    room = ChatRoom.objects.create(id=31, user=uma, admin_unread_count=1, created_at=at(10), updated_at=at(60))
    ChatRoom.objects.create(id=32, user=late, is_active=False, created_at=at(10), updated_at=at(10))

    def say(pk, second, by, text, **fields):
        fields = {"sender_type": by.user_type, "created_at": at(second), "updated_at": at(second)} | fields
        return ChatMessage.objects.create(id=pk, room=room, sender=by, message=text, **fields)

    hello = say(5, 20, uma, "hello", is_read=True, read_at=at(25))
    say(6, 30, adm, "hi Uma", reply_to=hello)
    say(7, 40, uma, "with file", attachment=ContentFile(b"just text", "a b.txt"), attachment_name="a b.txt")
    say(8, 50, adm, "somebody else's words, on her side", sender_type="user")
    say(9, 60, uma, "lost file", attachment="chat_attachments/gone.png", attachment_name="gone.png")
    OTP.objects.create(user=late, otp_code="123456", expires_at=at(600))
    ChatNotification.objects.create(room=room, recipient=uma, message="New message", created_at=at(30))


call_command("migrate", run_syncdb=True, verbosity=0)
{"shop": shop, "portal": portal}[product]()
call_command("dumpdata", output=dump, verbosity=0)
