"""The vectors of the protocol: valid frames, invalid frames and truncations."""

from __future__ import annotations

import json
import unittest
from typing import Any
from uuid import UUID

from support import VECTORS

from user_service import _codec as codec
from user_service._base import Message
from user_service._messages import COMMON, REPLIES, REQUESTS, ErrorCode
from user_service.secret import Secret

REQUEST_TYPES: dict[int, type[Message]] = {request.TYPE: request for request in REQUESTS}
MESSAGES: dict[str, Any] = {message.__name__: message for message in [*REQUESTS, *REPLIES.values()]}


def vectors(name: str) -> Any:
    return json.loads((VECTORS / name).read_text())


def to_python(kind: str, value: Any, row: Any = None) -> Any:
    if kind == "secret":
        return Secret(bytes.fromhex(value["hex"]) if isinstance(value, dict) else value)
    if kind in ("key", "bytes"):
        return bytes.fromhex(value)
    if kind == "uuid":
        return UUID(value)
    if kind == "error_code":
        return int(value, 16)
    if kind == "list":
        return tuple(row(**fields(row.FIELDS, item)) for item in value)
    return value


def fields(table: Any, values: dict[str, Any]) -> dict[str, Any]:
    kinds = {field.name: field for field in table}
    return {n: to_python(kinds[n].kind, value, kinds[n].row) for n, value in values.items()}


def decode(direction: str, data: bytes) -> Any:
    """Decodes a whole frame, like a receiver. Returns `None` if it is incomplete."""
    found = codec.split_frame(bytearray(data), 0)
    if found is None:
        return None
    kind, request_id, begin, end = found
    if direction == "request":
        if request_id == 0:
            raise codec.DecodeError(ErrorCode.MALFORMED, "request_id")
        known: Any = REQUEST_TYPES
        decoder: Any = codec.decode_request
    else:
        known = REPLIES
        decoder = codec.decode_message
    if kind not in known:
        raise codec.DecodeError(ErrorCode.UNKNOWN_TYPE, "")
    return decoder(known[kind], data[begin:end])


class Vectors(unittest.TestCase):
    def test_valid_frames_decode_to_their_fields_and_encode_to_the_same_bytes(self) -> None:
        all_vectors = vectors("valid.json")["vectors"]
        self.assertGreater(len(all_vectors), 100)
        for vector in all_vectors:
            with self.subTest(vector["name"]):
                message = MESSAGES[vector["message"]]
                own = message(**fields(message.FIELDS, vector["fields"]))
                common = codec.Common(**fields(COMMON, vector.get("common", {})))
                frame = bytes.fromhex(vector["hex"])
                canonical = bytes.fromhex(vector.get("canonical_hex", vector["hex"]))
                if vector["direction"] == "request":
                    self.assertEqual(decode("request", frame), (own, common))
                    body = codec.encode_request(own, common)
                else:
                    self.assertEqual(decode("reply", frame), own)
                    body = codec.encode_message(own)
                encoded = codec.encode_frame(int(vector["type"], 16), vector["id"], body)
                self.assertEqual(encoded, canonical)

    def test_invalid_frames_fail_with_the_stated_error(self) -> None:
        all_vectors = vectors("invalid.json")["vectors"]
        self.assertGreater(len(all_vectors), 500)
        for vector in all_vectors:
            with self.subTest(vector["name"]):
                frame = bytes.fromhex(vector["hex"])
                if vector["level"] == "incomplete":
                    self.assertIsNone(decode(vector["direction"], frame))
                    continue
                with self.assertRaises((codec.DecodeError, codec.FrameError)) as caught:
                    decode(vector["direction"], frame)
                error: Any = caught.exception
                self.assertEqual(f"{error.code:04X}", vector["code"])
                is_frame = isinstance(error, codec.FrameError)
                if vector.get("field"):
                    self.assertEqual(error.field, vector["field"])
                elif vector["level"] == "frame":
                    self.assertTrue(is_frame)

    def test_truncated_bodies_are_valid_only_at_the_stated_lengths(self) -> None:
        valid = {vector["name"]: vector for vector in vectors("valid.json")["vectors"]}
        checked = 0
        for entry in vectors("invalid.json")["truncations"]:
            vector = valid[entry["of"]]
            frame = bytes.fromhex(vector["hex"])
            for length in range(9, len(frame)):
                cut = (length - 4).to_bytes(4, "big") + frame[4:length]
                checked += 1
                with self.subTest(entry["of"], length=length):
                    if length - 9 in entry["valid_at"]:
                        decode(vector["direction"], cut)
                    else:
                        with self.assertRaises(codec.DecodeError):
                            decode(vector["direction"], cut)
                    # Without a new length, the frame is incomplete.
                    self.assertIsNone(decode(vector["direction"], frame[:length]))
        self.assertGreater(checked, 2000)

    def test_values_that_do_not_fit_are_refused_without_quoting_them(self) -> None:
        login = MESSAGES["Login"]
        cases: list[tuple[dict[str, Any], str]] = [
            ({"login": "ada", "password": "p" * 65_600}, "password has 65600 bytes"),
            ({"login": "ada", "password": "p" * 65_530}, "a frame has at most"),
            ({"login": "\ud800", "password": "p"}, "login is not valid Unicode"),
            ({"login": 7, "password": "p"}, "login has the type int"),
        ]
        for fields_, expected in cases:
            with self.subTest(expected), self.assertRaises(codec.EncodeError) as caught:
                codec.encode_frame(2, 1, codec.encode_message(login(**fields_)))
            self.assertIn(expected, str(caught.exception))
            self.assertNotIn("ppp", str(caught.exception))


if __name__ == "__main__":
    unittest.main()
