#!/usr/bin/env python3
"""Writes codes.json, tokens.json and clickids.json beside itself: what Carom's codes, tokens and click ids are, computed without
Carom.

SipHash is written out below from its paper (Aumasson, Bernstein 2012) and checked against the paper's test vector; AES
is openssl's. The numbers come from a fixed seed, so a second run writes the same bytes.
"""
import hashlib
import hmac
import json
import pathlib
import random
import subprocess
import base64

MASK = (1 << 64) - 1
BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
EPOCH = 1704067200000  # 2024-01-01T00:00:00Z
HERE = pathlib.Path(__file__).parent


def siphash24(key, message):
    def rotl(x, n):
        return (x << n | x >> 64 - n) & MASK

    def rounds(n):
        nonlocal v0, v1, v2, v3
        for _ in range(n):
            v0 = v0 + v1 & MASK
            v1 = rotl(v1, 13) ^ v0
            v0 = rotl(v0, 32)
            v2 = v2 + v3 & MASK
            v3 = rotl(v3, 16) ^ v2
            v0 = v0 + v3 & MASK
            v3 = rotl(v3, 21) ^ v0
            v2 = v2 + v1 & MASK
            v1 = rotl(v1, 17) ^ v2
            v2 = rotl(v2, 32)

    k0, k1 = (int.from_bytes(key[i:i + 8], "little") for i in (0, 8))
    v0, v1 = k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D
    v2, v3 = k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573
    padded = message + bytes(7 - len(message) % 8) + bytes([len(message) & 255])
    for i in range(0, len(padded), 8):
        word = int.from_bytes(padded[i:i + 8], "little")
        v3 ^= word
        rounds(2)
        v0 ^= word
    v2 ^= 0xFF
    rounds(4)
    return v0 ^ v1 ^ v2 ^ v3


assert siphash24(bytes(range(16)), bytes(range(15))) == 0xA129CA6149BE45E5


def base62(value, width):
    digits = ""
    for _ in range(width):
        value, digit = divmod(value, 62)
        digits = BASE62[digit] + digits
    assert value == 0
    return digits


def derive(secret, purpose, host):
    return hmac.new(secret, purpose + b"\0" + host.encode(), hashlib.sha256).digest()[:16]


def code(secret, host, key_id, link):
    head = key_id << 30 | link
    mac = siphash24(derive(secret, b"carom code v1", host), head.to_bytes(4, "little")) & 0xFFFFFFFF
    return base62(head << 32 | mac, 11)


def slug_signature(secret, host, slug):
    return base62(siphash24(derive(secret, b"carom slug v1", host), slug.encode()) % 62**6, 6)


def token(secret, host, key_id, link, campaign, influencer, expires, subs):
    head = key_id << 6 | (8 if expires else 0) | len(subs)
    raw = bytes([head]) + b"".join(n.to_bytes(4, "big") for n in (link, campaign, influencer))
    if expires:
        raw += expires.to_bytes(4, "big")
    for sub in subs:
        raw += bytes([len(sub.encode())]) + sub.encode()
    raw += siphash24(derive(secret, b"carom token v1", host), raw).to_bytes(8, "little")
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def aes128(key, block):
    return subprocess.run(["openssl", "enc", "-aes-128-ecb", "-nopad", "-K", key.hex()],
                          input=block, capture_output=True, check=True).stdout


def click_id(key, link, millis, node, sequence):
    plain = link << 98 | millis - EPOCH << 57 | node << 47 | sequence << 32 | 0x4341524F
    return base64.urlsafe_b64encode(aes128(key, plain.to_bytes(16, "big"))).decode().rstrip("=")


def write(name, vectors):
    (HERE / name).write_text("[\n" + ",\n".join("  " + json.dumps(v) for v in vectors) + "\n]\n")


rnd = random.Random(2024)
secrets = [bytes(32), bytes(range(32)), rnd.randbytes(32)]
hosts = ["go.brand.example", "x.co", "xn--bcher-kva.example"]
slugs = ["summer", "a-1", "x" * 64, "ab_c", "0-0", "winter-sale-24"]

codes = []
for link, key_id in [(1, 0), (2, 0), (1, 1), (1, 2), (1, 3), (2**30 - 1, 0), (2**30 - 1, 3), (0, 0), (512, 1)]:
    codes.append((secrets[0], hosts[0], key_id, link))
for _ in range(24):
    codes.append((rnd.choice(secrets), rnd.choice(hosts), rnd.randrange(4), rnd.randrange(2**30)))
write("codes.json", [{
    "secret": secret.hex(), "host": host, "key_id": key_id, "link": link, "code": code(secret, host, key_id, link),
    "slug": slugs[i % len(slugs)], "slug_signature": slug_signature(secret, host, slugs[i % len(slugs)]),
} for i, (secret, host, key_id, link) in enumerate(codes)])

keys = [bytes(16), bytes(range(16)), rnd.randbytes(16)]
last_millis = EPOCH + 2**41 - 1
clicks = [(0, EPOCH, 0, 0), (1, EPOCH, 0, 0), (0, EPOCH, 1, 0), (0, EPOCH, 0, 1), (0, EPOCH + 1, 0, 0),
          (2**30 - 1, last_millis, 2**10 - 1, 2**15 - 1), (1, last_millis, 0, 0), (7, EPOCH + 127, 3, 0),
          (7, EPOCH + 128, 3, 0)]
for _ in range(24):
    clicks.append((rnd.randrange(2**30), EPOCH + rnd.randrange(2**41), rnd.randrange(2**10), rnd.randrange(2**15)))
write("clickids.json", [{
    "key": key.hex(), "link": link, "millis": millis, "node": node, "sequence": sequence,
    "id": click_id(key, link, millis, node, sequence),
} for i, (link, millis, node, sequence) in enumerate(clicks) for key in [keys[i % 3]]])

tokens = [(0, 1, 1, 1, 0, []), (3, 2**30 - 1, 2**32 - 1, 2**32 - 1, 2**32 - 1, ["x" * 64] * 5), (1, 7, 2, 3, 0, ["bio link"]),
          (2, 7, 2, 3, 1780000000, ["", "", "Größe", "", "&=?#"])]
for _ in range(24):
    subs = [rnd.choice(["", "a", "story-1", "ü b"]) for _ in range(rnd.randrange(5))]
    tokens.append((rnd.randrange(4), rnd.randrange(1, 2**30), rnd.randrange(2**32), rnd.randrange(2**32),
                   rnd.choice([0, rnd.randrange(1, 2**32)]), subs + ["last"] if subs else []))
write("tokens.json", [{
    "secret": secret.hex(), "host": host, "key_id": t[0], "link": t[1], "campaign": t[2], "influencer": t[3], "expires": t[4],
    "subs": t[5], "token": token(secret, host, *t),
} for i, t in enumerate(tokens) for secret, host in [(secrets[i % 3], hosts[i % 3])]])
