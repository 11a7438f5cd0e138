"""The key of an account: a hash of its id that is the same on every machine and in every process."""

import xxhash

KEY_DIGITS = 16
_KEY_BITS = 64


def account_key(account: str) -> int:
    """Return the key of an id: XXH3 with 64 bits of its UTF-8 bytes. Two of n ids have the same with a probability below n**2 / 2**65."""
    return xxhash.xxh3_64_intdigest(account.encode(errors="surrogatepass"))


def key_text(key: int) -> str:
    """Return a key as it is written in addresses and files: 16 hexadecimal digits."""
    return f"{key:0{KEY_DIGITS}x}"


def part_of(key: int, parts: int) -> int:
    """Return which of the parts of an index has a key: each part has an equal share of all possible keys."""
    return key * parts >> _KEY_BITS


def first_key(part: int, parts: int) -> int:
    """Return the smallest key of a part."""
    return -(-(part << _KEY_BITS) // parts)
