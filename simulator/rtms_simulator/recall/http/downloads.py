"""Pre-signed download links as S3 gives them (docs/evidence/recall.md B6): made, judged, never stored (pure).

The path is S3's key; `Expires`, the security token and the path are signed. S3's answers to a bad link are inferred from S3 itself.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode

ACCESS_KEY_ID = "ASIARTMSKITSIMULATED"


@dataclass(frozen=True, slots=True)
class LinkRefusal:
    """Why a link does not open: the HTTP status and S3's error code and message."""

    status: int
    code: str
    message: str

    def xml(self) -> str:
        """S3's error document."""
        return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{self.code}</Code><Message>{self.message}</Message></Error>'


TWO_AUTHS = LinkRefusal(
    400,
    "InvalidArgument",
    "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization "
    "header should be specified",
)
EXPIRED = LinkRefusal(403, "AccessDenied", "Request has expired")
DENIED = LinkRefusal(403, "AccessDenied", "Access Denied")
WRONG_SIGNATURE = LinkRefusal(
    403,
    "SignatureDoesNotMatch",
    "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
)
NO_SUCH_KEY = LinkRefusal(404, "NoSuchKey", "The specified key does not exist.")


@dataclass(frozen=True, slots=True)
class LinkSigner:
    """Makes and judges links. `key` is this server's own secret, as AWS's is AWS's."""

    key: bytes

    def query(self, path: str, *, expires: int, token: str) -> str:
        """The query string that opens `path` (decoded, beginning with /) until `expires` (seconds since the epoch)."""
        return urlencode(
            {
                "AWSAccessKeyId": ACCESS_KEY_ID,
                "Signature": self._signature("GET", path, str(expires), token),
                "x-amz-security-token": token,
                "Expires": str(expires),
            }
        )

    def url(self, origin: str, path: str, *, expires: int, token: str) -> str:
        return f"{origin}{quote(path)}?{self.query(path, expires=expires, token=token)}"

    def judge(self, method: str, path: str, query: Mapping[str, str], *, authorization: str | None, now: float) -> LinkRefusal | None:
        """None when the link opens. A link is signed for GET, so HEAD does not match."""
        if authorization is not None:
            return TWO_AUTHS
        expires, token, signature = query.get("Expires"), query.get("x-amz-security-token"), query.get("Signature")
        if not expires or not token or not signature or query.get("AWSAccessKeyId") != ACCESS_KEY_ID:
            return DENIED
        if not hmac.compare_digest(signature.encode(), self._signature(method, path, expires, token).encode()):
            return WRONG_SIGNATURE
        # Signed by us, so it is a number.
        return EXPIRED if now >= int(expires) else None

    def api_token(self, path: str, *, expires: int, token: str) -> str:
        """The one-word form that `/api/v1/download/…?token=` carries: path, expiry, token and signature."""
        words = "\n".join((path, str(expires), token, self._signature("GET", path, str(expires), token)))
        return base64.urlsafe_b64encode(words.encode()).decode().rstrip("=")

    def judge_api_token(self, text: str, *, now: float) -> str | LinkRefusal:
        """The path an API link's token opens, or why it does not."""
        try:
            path, expires, token, signature = base64.urlsafe_b64decode(text.encode() + b"==").decode().split("\n")
        except ValueError:
            return DENIED
        if not hmac.compare_digest(signature.encode(), self._signature("GET", path, expires, token).encode()):
            return WRONG_SIGNATURE
        return EXPIRED if now >= int(expires) else path

    def _signature(self, method: str, path: str, expires: str, token: str) -> str:
        signed = "\n".join((method, "", "", expires, f"x-amz-security-token:{token}", path))
        return base64.b64encode(hmac.new(self.key, signed.encode("utf-8", "surrogatepass"), hashlib.sha1).digest()).decode()
