"""Django's own hasher with fewer rounds, since the tests run without optimisation."""

from django.contrib.auth.hashers import PBKDF2PasswordHasher


class Quick(PBKDF2PasswordHasher):
    iterations = 2000
