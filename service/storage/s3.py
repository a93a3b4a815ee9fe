"""The scaled picture store: a bucket behind the S3 protocol, Cloudflare R2 or any other, through boto3.

What R2 does differently from S3 and is minded here (Cloudflare docs: R2, S3 API compatibility, limits): the
checksum trailers that boto3 sends by itself may be refused, so integrity is a Content-MD5; one key takes
one write a second, else 429; a presigned address works at the S3 endpoint only, never at a public domain.
"""

from __future__ import annotations

import base64
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from service.domain import limits
from service.domain.errors import StorageUnavailable
from service.ports import BlobInfo, Clock
from service.storage.keys import check_blob, mime_type_of
from service.storage.signing import UrlSigner
from service.storage.threads import BoundedThreads, ThreadsFull

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Answer = TypeVar("Answer")

CACHE_CONTROL: Final = "public, max-age=31536000, immutable"

_CONNECT_SECONDS_MAX: Final = 3.0
_READ_SECONDS_MAX: Final = 10.0
# Three tries at their worst, and boto3's pauses between them.
_ANSWER_SECONDS_MAX: Final = 45.0
_URLS_KEPT_COUNT_MAX: Final = 20_000

# The whole table of answers that mean something; every other one is StorageUnavailable.
_THERE_ALREADY: Final = frozenset({"PreconditionFailed", "412"})
_RACING: Final = frozenset({"ConditionalRequestConflict", "409", "TooManyRequests", "429"})
_ABSENT: Final = frozenset({"NoSuchKey"})
_ABSENT_WITHOUT_BODY: Final = frozenset({"404", "NoSuchKey", "NotFound"})  # a HEAD cannot say what is missing

# HTTPError is urllib3's: a body that breaks off comes through boto3 as it is. TimeoutError is an OSError.
_AWAY: Final = (ClientError, BotoCoreError, HTTPError, OSError, ThreadsFull)


@dataclass(frozen=True, slots=True)
class S3Options:
    """Which bucket, and how it is shown. `public_base_url` is a domain that serves the bucket to all."""

    endpoint_url: str
    bucket: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    region: str = "auto"
    public_base_url: str | None = None
    url_seconds: int = 24 * 3600
    """Life of a presigned address; callers get one with at least half of it left."""
    reached_by_providers: bool = True
    """Whether providers can fetch from the endpoint (not so for a server on loopback)."""
    threads_count: int = 8
    tries_count_max: int = 3
    """How often one request is sent at most, with boto3's jittered pauses between."""


class S3Blobs:
    """Pictures in a bucket. See `Blobs` for what each method promises.

    A `put` whose reply was lost is repeated by boto3 and then finds its own blob: it answers False.
    """

    def __init__(self, options: S3Options, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._client = _client(options)
        self._signer = UrlSigner(
            endpoint_url=options.endpoint_url,
            bucket=options.bucket,
            region=options.region,
            access_key_id=options.access_key_id,
            secret_access_key=options.secret_access_key,
        )
        self._urls: OrderedDict[str, tuple[str, int]] = OrderedDict()
        self._threads = BoundedThreads(
            "s3",
            threads_count=options.threads_count,
            waiting_count_max=limits.renders_running_max,
            answer_seconds_max=_ANSWER_SECONDS_MAX,
        )

    async def put(self, key: str, content: bytes, mime_type: str) -> bool:
        """Store if absent, in one conditional PUT. Raises ValueError when key and content don't agree."""
        return await self._run(lambda: self._put(key, content, mime_type))

    async def head(self, key: str) -> BlobInfo | None:
        """Say whether it is there; a text that is no key names nothing."""
        return await self._run(lambda: self._head(key))

    async def get(self, key: str) -> bytes | None:
        """The bytes, or None when absent."""
        return await self._run(lambda: self._get(key))

    def url(self, key: str) -> tuple[str, int | None]:
        """The public address, which does not end, or a presigned one, signed anew at half its life."""
        if self._options.public_base_url is not None:
            return f"{self._options.public_base_url.rstrip('/')}/{key}", None
        now = self._clock.now()
        life = self._options.url_seconds * limits.MICROS_PER_SECOND
        kept = self._urls.get(key)
        if kept is not None and kept[1] - now > life // 2:
            self._urls.move_to_end(key)
            return kept
        url = self._signer.get_url(key, now_micros=now, seconds=self._options.url_seconds)
        # The signature counts from the whole second below now.
        end = now // limits.MICROS_PER_SECOND * limits.MICROS_PER_SECOND + life
        self._urls[key] = url, end
        self._urls.move_to_end(key)
        if len(self._urls) > _URLS_KEPT_COUNT_MAX:
            self._urls.popitem(last=False)
        return url, end

    def provider_url(self, key: str) -> str | None:
        """The same address where providers can reach the endpoint."""
        return self.url(key)[0] if self._options.reached_by_providers else None

    async def ready(self) -> None:
        """Raise StorageUnavailable when the bucket cannot be read (wrong name, wrong keys, no connection)."""
        await self._run(lambda: self._absent("lightmeter-ready"))

    async def close(self) -> None:
        """Free threads and sockets; legal twice."""
        self._threads.close()
        self._client.close()

    async def _run(self, work: Callable[[], Answer]) -> Answer:
        try:
            return await self._threads.run(work)
        except _AWAY as error:
            raise StorageUnavailable("The picture store did not answer.") from error

    def _put(self, key: str, content: bytes, mime_type: str) -> bool:
        check_blob(key, content, mime_type)
        checksum = hashlib.md5(content, usedforsecurity=False).digest()
        try:
            self._client.put_object(
                Bucket=self._options.bucket,
                Key=key,
                Body=content,
                ContentType=mime_type,
                CacheControl=CACHE_CONTROL,
                ContentMD5=base64.b64encode(checksum).decode(),
                IfNoneMatch="*",
            )
        except ClientError as error:
            if _code(error) in _THERE_ALREADY:
                return False
            # Somebody else is writing the same key in the same second: the same bytes, by its name.
            if _code(error) in _RACING and self._head(key) is not None:
                return False
            raise
        return True

    def _head(self, key: str) -> BlobInfo | None:
        if mime_type_of(key) is None:
            return None
        try:
            answer = self._client.head_object(Bucket=self._options.bucket, Key=key)
        except ClientError as error:
            # A lost picture is drawn and paid for again, so a missing bucket must not look like one.
            if _code(error) in _ABSENT_WITHOUT_BODY and self._absent(key):
                return None
            raise
        return BlobInfo(key, answer["ContentLength"], answer["ContentType"])

    def _absent(self, key: str) -> bool:
        """Whether the bucket is there and the key is not. Raises what the server says when the bucket is
        the trouble.
        """
        try:
            self._client.get_object(Bucket=self._options.bucket, Key=key, Range="bytes=0-0")["Body"].close()
        except ClientError as error:
            if _code(error) in _ABSENT:
                return True
            raise
        return False

    def _get(self, key: str) -> bytes | None:
        if mime_type_of(key) is None:
            return None
        try:
            answer = self._client.get_object(Bucket=self._options.bucket, Key=key)
        except ClientError as error:
            if _code(error) in _ABSENT:
                return None
            raise
        with answer["Body"] as body:
            if answer["ContentLength"] > limits.download_bytes_max:
                raise OSError(f"{key} is larger than any picture that is stored")
            return body.read()


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _client(options: S3Options) -> S3Client:
    session = boto3.session.Session(
        aws_access_key_id=options.access_key_id,
        aws_secret_access_key=options.secret_access_key,
        region_name=options.region,
    )
    return session.client(
        "s3",
        endpoint_url=options.endpoint_url,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            connect_timeout=_CONNECT_SECONDS_MAX,
            read_timeout=_READ_SECONDS_MAX,
            retries={"mode": "standard", "total_max_attempts": options.tries_count_max},
            max_pool_connections=options.threads_count,
        ),
    )
