"""Verifies an access token with PyJWT: verify.py JWKS TOKEN. Prints the user and the session."""

import json
import sys

import jwt

jwks_file, token_file = sys.argv[1:]
with open(jwks_file) as file:
    keys = {key["kid"]: jwt.PyJWK(key) for key in json.load(file)["keys"]}
with open(token_file) as file:
    token = file.read()
key = keys[jwt.get_unverified_header(token)["kid"]]
claims = jwt.decode(
    token,
    key.key,
    # The algorithm of the key, never that of the token.
    algorithms=[{"OKP": "EdDSA", "EC": "ES256"}[key.key_type]],
    issuer="user-service",
    audience="user-service",
    options={"require": ["iss", "aud", "sub", "exp", "iat"]},
)
print(claims["sub"], claims["sid"])
