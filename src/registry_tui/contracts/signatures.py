"""Signatures of models in the form of OpenSSF Model Signing 1.0, with keys, without any server.

A signature is a sigstore bundle (v0.3): a DSSE envelope around an in-toto statement, which names every file of a model
with its SHA-256. `model_signing verify key` checks it without us. Only the sums that a manifest has are signed, so that
no file is read for it. The library `model-signing` itself is not used here: it signs folders on a disk only, and brings
95 MB. Elliptic curves are those of `cryptography`, which is imported where it is needed: most commands do without.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

#: The name of a signature made by us, next to an archive's manifest, and the folder of signatures made by others.
BUNDLE = "model.sig"
OTHERS = "signatures"
#: Bytes of the largest signature that is read.
MAX_BYTES = 96 << 20

_BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_PAYLOAD_TYPE = "application/vnd.in-toto+json"
_STATEMENT = "https://in-toto.io/Statement/v1"
_PREDICATE = "https://model_signing/signature/v1.0"
#: A field of the predicate for the registry: verifiers have to ignore fields that they do not know.
_ABOUT = "registry_tui"


class SignatureProblem(Exception):
    """A signature or a key is invalid; the message has the reason."""


class UnknownKey(SignatureProblem):
    """A signature was made with a key that is not among the known ones."""


@dataclass(frozen=True)
class Bundle:
    """A signature as it was read; nothing in it is checked yet."""

    #: The key that it claims: `fingerprint_of` that key.
    fingerprint: str
    signature: bytes
    payload: bytes


@dataclass(frozen=True)
class Signed:
    """The content of a valid signature."""

    fingerprint: str
    name: str
    #: SHA-256 of every file, by its path.
    files: Mapping[str, str]
    #: The version that the registry signed; empty in signatures of others.
    version_id: str = ""
    #: Paths that the signer ignored.
    ignored: tuple[str, ...] = ()


def new_private_key() -> str:
    """A new private key for ECDSA over P-256, as PEM."""
    # As above.
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    return (
        ec.generate_private_key(ec.SECP256R1())
        .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        .decode()
    )


def public_key_of(private_key: str) -> str:
    """The public key of a private one, both as PEM. Raises SignatureProblem."""
    from cryptography.hazmat.primitives import serialization

    try:
        key = serialization.load_pem_private_key(private_key.encode(), None)
    except (ValueError, TypeError) as error:
        raise SignatureProblem("it is not a private key in PEM") from error
    return _pem(key.public_key())


def clean_public_key(public_key: str) -> str:
    """A public key as PEM, in the canonical form for its fingerprint. Raises SignatureProblem."""
    return _pem(_loaded(public_key))


def fingerprint_of(public_key: str) -> str:
    """The SHA-256 of a public key's PEM as `clean_public_key` writes it, which signatures name their key by."""
    return hashlib.sha256(public_key.encode()).hexdigest()


def sign(private_key: str, name: str, files: Mapping[str, str], version_id: str) -> bytes:
    """The signature of a model: `files` has the SHA-256 of every file by its path. Raises SignatureProblem."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = serialization.load_pem_private_key(private_key.encode(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise SignatureProblem("the private key is not one of an elliptic curve")
    paths = sorted(files, key=PurePosixPath)
    statement = {
        "_type": _STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": _digest_of_all(files[path] for path in paths)}}],
        "predicateType": _PREDICATE,
        "predicate": {
            "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": False},
            "resources": [{"name": path, "algorithm": "sha256", "digest": files[path]} for path in paths],
            _ABOUT: {"version_id": version_id},
        },
    }
    payload = json.dumps(statement, ensure_ascii=False, separators=(",", ":")).encode()
    signature = key.sign(_signed_bytes(payload), ec.ECDSA(_hash_for(key.public_key())))
    bundle = {
        "mediaType": _BUNDLE_TYPE,
        "verificationMaterial": {
            "publicKey": {"hint": fingerprint_of(_pem(key.public_key()))},
            "tlogEntries": [],
        },
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": _PAYLOAD_TYPE,
            "signatures": [{"sig": base64.b64encode(signature).decode(), "keyid": ""}],
        },
    }
    return json.dumps(bundle, separators=(",", ":")).encode()


def read(content: bytes) -> Bundle:
    """A signature's parts; checks nothing but its form. Raises SignatureProblem."""
    try:
        found = json.loads(content)
        if found["mediaType"] != _BUNDLE_TYPE:
            raise SignatureProblem(f"it is a bundle of another kind: {str(found['mediaType'])[:100]}")
        material, envelope = found["verificationMaterial"], found["dsseEnvelope"]
        if "publicKey" not in material:
            raise SignatureProblem("it was made with a certificate; only signatures with a key can be checked here")
        if envelope["payloadType"] != _PAYLOAD_TYPE:
            raise SignatureProblem("it does not hold an in-toto statement")
        (signature,) = envelope["signatures"]
        return Bundle(
            fingerprint=str(material["publicKey"].get("hint") or ""),
            signature=base64.b64decode(signature["sig"], validate=True),
            payload=base64.b64decode(envelope["payload"], validate=True),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error) as error:
        raise SignatureProblem("it is not a signature in the form of OpenSSF Model Signing") from error


def verify(content: bytes, keys: Mapping[str, str]) -> Signed:
    """Returns the content of a signature, once one of the public keys (PEM, by fingerprint) verifies it.

    Raises UnknownKey, SignatureProblem.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec

    bundle = read(content)
    if not bundle.fingerprint:
        raise SignatureProblem("it does not say which key made it; sign again with model-signing 1.1 or newer")
    if (known := keys.get(bundle.fingerprint)) is None:
        raise UnknownKey(f"it was made with the key {short(bundle.fingerprint)}, which is not trusted here")
    key = _loaded(known)
    try:
        key.verify(bundle.signature, _signed_bytes(bundle.payload), ec.ECDSA(_hash_for(key)))
    except InvalidSignature as error:
        raise SignatureProblem(f"it was not made by the key {short(bundle.fingerprint)}, or was changed") from error
    return _statement(bundle)


def claimed_version(content: bytes) -> str:
    """The version that a signature claims, unverified; empty in signatures of others.

    Raises SignatureProblem.
    """
    return _statement(read(content)).version_id


def check_files(signed: Signed, files: Mapping[str, str]) -> None:
    """Raises SignatureProblem unless exactly these files are signed, each with this SHA-256."""
    for path, sum_ in files.items():
        if path not in signed.files:
            left_out = any(PurePosixPath(path).is_relative_to(each) for each in signed.ignored)
            hint = "; sign with --no-ignore-git-paths and without --ignore-paths" if left_out else ""
            raise SignatureProblem(f"{path} is not signed{hint}")
        if signed.files[path] != sum_:
            raise SignatureProblem(f"{path} differs from the signed file")
    if lacking := sorted(signed.files.keys() - files.keys()):
        raise SignatureProblem(f"{lacking[0]} was signed, and is not there")


def short(fingerprint: str) -> str:
    """The beginning of a fingerprint, for people."""
    return fingerprint[:16]


# -- underneath ------------------------------------------------------------------------------------------


def _statement(bundle: Bundle) -> Signed:
    try:
        statement = json.loads(bundle.payload)
        predicate = statement["predicate"]
        if statement["_type"] != _STATEMENT or statement["predicateType"] != _PREDICATE:
            raise SignatureProblem("it signs something else than a model")
        (subject,) = statement["subject"]
        how = predicate["serialization"]
        resources = predicate["resources"]
        if how["method"] != "files" or any(each["algorithm"] != "sha256" for each in resources):
            raise SignatureProblem("it has other sums than the SHA-256 of whole files; sign without other options")
        files = {str(each["name"]): str(each["digest"]) for each in resources}
        if len(files) != len(resources):
            raise SignatureProblem("it names a file twice")
        if subject["digest"]["sha256"] != _digest_of_all(each["digest"] for each in resources):
            raise SignatureProblem("it contradicts itself: the sum of all files is another one")
        about = predicate.get(_ABOUT, {})
        return Signed(
            fingerprint=bundle.fingerprint,
            name=str(subject["name"]),
            files=files,
            version_id=str(about.get("version_id", "")),
            ignored=tuple(map(str, how.get("ignore_paths", ()))),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SignatureProblem("its payload is not a statement about a model") from error


def _digest_of_all(sums: Any) -> str:
    whole = hashlib.sha256()
    for each in sums:
        whole.update(bytes.fromhex(each))
    return whole.hexdigest()


def _signed_bytes(payload: bytes) -> bytes:
    """The pre-authentication encoding of DSSE 1.0."""
    return b"DSSEv1 %d %s %d %s" % (len(_PAYLOAD_TYPE), _PAYLOAD_TYPE.encode(), len(payload), payload)


def _loaded(public_key: str) -> EllipticCurvePublicKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        key = serialization.load_pem_public_key(public_key.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SignatureProblem("it is not a public key in PEM") from error
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise SignatureProblem("it is not a key of an elliptic curve; Model Signing takes P-256, P-384 and P-521")
    _hash_for(key)
    return key


def _hash_for(key: EllipticCurvePublicKey) -> Any:
    from cryptography.hazmat.primitives import hashes

    known = {"secp256r1": hashes.SHA256(), "secp384r1": hashes.SHA384(), "secp521r1": hashes.SHA512()}
    if key.curve.name not in known:
        raise SignatureProblem(f"its curve {key.curve.name} is not one of Model Signing's: P-256, P-384, P-521")
    return known[key.curve.name]


def _pem(key: Any) -> str:
    from cryptography.hazmat.primitives import serialization

    written: bytes = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return written.decode()
