# SPDX-License-Identifier: Apache-2.0
"""Finds masked values, and what is easily made of them, in bytes that a client got."""

import base64
import hashlib
import re
import struct

import rawpg

GRAM = 7  # so many characters in a row of a masked word are a leak
DIGITS = 10  # and so many of a masked number, or its first two less: others have digits too


def spellings(column, value):
    """(name, bytes) by which `value`, a masked value's text, is known again; lower case."""
    raw = value.encode()
    lower = value.lower()
    if re.fullmatch(r"[01]{32,}", value):
        yield "bits", value[:28].encode()
        yield "bits", struct.pack("!Q", int(value[:64], 2))
    elif re.fullmatch(r"-?\d+(\.\d+)?", value):
        digits = re.sub(r"\D", "", value).lstrip("0")
        yield from number(int(digits))
        for text, name in ((digits, "digits"), (digits[::-1], "reversed")):
            yield name, text[:DIGITS - 2].encode()
            for at in range(max(1, len(text) - DIGITS + 1)):
                yield name, text[at:at + DIGITS].encode()
    elif "date" in column or re.match(r"\d{4}-\d\d-\d\d", value):
        yield "date", lower[:10].encode()
        year, month, day = lower[:10].split("-")
        for form in (f"{day}/{month}/{year}", f"{month}/{day}/{year}", f"{day}-{month}-{year}",
            f"{day}.{month}.{year}",
                     f"{month}-{day}-{year}", year + month + day):
            yield "date", form.encode()
    elif column in ("people.token", "people.mac", "people.blob", "people.ip"):
        hexes = re.sub(r"[^0-9a-f]", "", lower.removeprefix("\\x"))
        yield "text", lower[:20].encode()
        if column != "people.ip" and len(hexes) % 2 == 0:
            yield "bytes", bytes.fromhex(hexes).lower()
            yield "hex", hexes[:16].encode()
            yield "base64", base64.b64encode(bytes.fromhex(hexes))[:16].lower()
    elif "[" in value or "," in value or ":" in value:
        for digits in re.findall(r"\d{6,}", value):
            yield "digits", digits.encode()
            yield from number(int(digits))
        yield "text", lower.encode()
    else:
        alnum = re.findall(r"[a-z0-9]+", lower)
        for part in alnum:
            for text, name in ((part, "text"), (part[::-1], "reversed")):
                for at in range(len(text) - GRAM + 1):
                    # The first letters are the same everywhere: they say only that there is a marker.
                    yield name, text[at:at + GRAM].encode()
    if column != "people.bits":  # they are too much alike
        yield from wrapped(raw)


def number(n):
    for name, form in (("hex", f"{n:x}"), ("octal", f"{n:o}"), ("binary", f"{n:b}"), ("successor", str(n + 1)),
                       ("predecessor", str(n - 1)), ("double", str(2 * n)), ("half", str(n // 2)), ("complement",
                           str(~n))):
        if len(form) >= 7:
            yield name, form.encode()[:24]
    for name, m in (("", n), ("successor's ", n + 1), ("predecessor's ", n - 1), ("double's ", 2 * n), ("negative's ",
        -n)):
        for code, bits in (("!i", 32), ("!q", 64)):
            if 2**22 <= abs(m) < 2**(bits - 1):  # smaller ones are mostly zero bytes, which are everywhere
                yield name + "bytes", struct.pack(code, m).lower()


def wrapped(raw):
    """Encodings and digests of the whole value."""
    for data, kind in ((raw, ""), (raw[::-1], "reversed "), (raw.upper(), "upper ")):
        if len(data) < 6:
            continue
        yield kind + "hex", data.hex()[:24].encode()
        for skip in range(3):  # whatever stands before it
            piece = data[skip:]
            piece = piece[:len(piece) - len(piece) % 3]
            if len(piece) >= 6:
                yield kind + "base64", base64.b64encode(piece)[:16].lower()
    for digest in ("md5", "sha1", "sha224", "sha256", "sha384", "sha512"):
        hashed = hashlib.new(digest, raw).digest()
        yield digest, hashed.hex()[:20].encode()
        yield digest, hashed[:12].lower()
        yield digest, base64.b64encode(hashed)[:16].lower()


def decoded(secrets):
    """As Search takes them, from (column, hex, whether it is bytes)."""
    return [(c, bytes.fromhex(v) if binary else bytes.fromhex(v).decode()) for c, v, binary in secrets]


class Search:
    def __init__(self, secrets):
        """`secrets`: (column, value) of each masked value: its text, or bytes to be known as they are."""
        self.by_start = {}  # length of a start -> start -> [(form, what)]
        for column, value in secrets:
            forms = [("binary", value.lower())] if isinstance(value, bytes) else spellings(column, value)
            for name, form in forms:
                size = GRAM if len(form) >= GRAM else 4
                if len(form) >= size and not (size == 4 and form.isascii() and form.decode().isprintable()):
                    starts = self.by_start.setdefault(size, {}).setdefault(form[:size], [])
                    starts.append((form, (column, name, value)))

    def find(self, data, joined=False):
        """What is known again in `data`: {column: (how, the spelling, the value)}. `joined`: it is made of several values,
        where digits of two (OIDs, say) easily look like the start of one."""
        data = data.lower()
        found = {}
        for size, starts in self.by_start.items():
            for start in starts.keys() & {data[i:i + size] for i in range(len(data) - size + 1)}:
                for form, (column, name, value) in starts[start]:
                    if form in data and not (form.isdigit() and len(form) < DIGITS and (joined or not re.search(
                            b"(?<![0-9a-f])" + form, data))):  # nor in the midst of a digest
                        found.setdefault(column, (name, form, value))
        return found

    def find_in_answers(self, raw, answers):
        """The bytes as they came, and the values of one column or one row run together."""
        found = self.find(raw)
        rows = answers.rows()
        if len(rows) > 0:
            together = [b"".join(v or b"" for v in row) for row in rows if len(row) > 1]
            for column in zip(*rows):
                together.append(b"".join(v or b"" for v in column))
                codes = [int(v) for v in column if v and v.isdigit() and len(v) < 4] or [
                    int.from_bytes(v, "big") for v in column if v and len(v) == 4 and v[:3] == b"\0\0\0"]
                if len(codes) >= GRAM:
                    together.append(bytes(c for c in codes if 32 <= c < 127))
            for data in together:
                for column, how in self.find(data, joined=True).items():
                    found.setdefault(column, how)
        return found
