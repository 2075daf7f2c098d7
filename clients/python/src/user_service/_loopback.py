"""Addresses: host and port, and whether they are local."""

from __future__ import annotations

import ipaddress

DEFAULT_PORT = 3001


def split_address(address: str) -> tuple[str, int]:
    """Returns the host and the port of `host`, `host:port` or `[IPv6]:port`."""
    host, separator, port = address.rpartition(":")
    if address.startswith("["):
        inside, bracket, rest = address[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f"invalid address {address!r}: expected [IPv6]:port")
        host, separator, port = inside, rest[:1], rest[1:]
    elif not separator:
        host, port = address, ""
    elif ":" in host:
        raise ValueError(f"invalid address {address!r}: write an IPv6 address in brackets")
    if not separator:
        return _named(host, address), DEFAULT_PORT
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65_536):
        raise ValueError(f"invalid address {address!r}: expected a port from 1 to 65535")
    return _named(host, address), int(port)


def _named(host: str, address: str) -> str:
    if not host:
        raise ValueError(f"invalid address {address!r}: the host is missing")
    return host


def is_loopback(host: str) -> bool:
    """Returns `True` for an address of the loopback interface and for `localhost`.

    Any other name counts as remote, since only its resolver decides on its address.
    """
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return host.rstrip(".").lower() == "localhost"
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        return ip.ipv4_mapped.is_loopback
    return ip.is_loopback
