"""The objects of a bucket, through the libraries of those who run it: Google's google-cloud-storage, Amazon's boto3.

Eight operations are all that the project needs. Whatever goes wrong is a BucketError, one line that says what to do.
"""

import contextlib
import importlib
import mimetypes
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from mcvae_jax.errors import UserError
from mcvae_jax.places import Address

PATIENCE = 60.0  # seconds for which the network may be gone
EXTRAS = {"gs": ("google.cloud.storage", "gcs"), "s3": ("boto3", "s3")}


class BucketError(UserError):
    """A bucket that is not there, cannot be reached, or refuses."""


class Entry(NamedTuple):
    """What a bucket says of an object."""

    version: str  # changes with its content
    seconds: float  # when it was written, since 1970


class Objects(Protocol):
    """The objects of one bucket, by their full names. BucketError is raised by all."""

    def list(self, prefix: str) -> dict[str, Entry]:
        """All whose names start so."""

    def find(self, name: str) -> Entry | None:
        """The one of this very name; None where there is none."""

    def read(self, name: str) -> bytes | None:
        """The bytes of a small one; None where there is none."""

    def download(self, name: str, path: Path) -> None:
        """Writes one to a file; its checksum is verified."""

    def upload(self, path: Path, name: str) -> Entry:
        """Writes a file to one, the whole of it or nothing. FileNotFoundError where the file is gone."""

    def write(self, name: str, data: bytes) -> None:
        """Writes a small one."""

    def create(self, name: str, data: bytes) -> bool:
        """Writes a small one unless there is one of that name: whether it was written. Only one of many succeeds."""

    def delete(self, name: str) -> None:
        """Removes one; nothing where there is none."""


def open_objects(address: Address) -> Objects:
    """The objects of the bucket of an address."""
    module, extra = EXTRAS[address.scheme]
    try:
        importlib.import_module(module)
    except ImportError as error:
        raise BucketError(f"{address} needs {module}: pip install 'mcvae_jax[{extra}]', and run this again.") from error
    return (_Google if address.scheme == "gs" else _S3)(address.bucket)


class _Google:
    """Google Cloud Storage. STORAGE_EMULATOR_HOST names an emulator."""

    def __init__(self, bucket: str) -> None:
        from google.cloud import storage

        self._name = f"gs://{bucket}"
        with self._explained():
            self._bucket = storage.Client(project=None).bucket(bucket)
        self._patience: dict[str, Any] = {"retry": storage.retry.DEFAULT_RETRY.with_timeout(PATIENCE), "timeout": 60}

    def list(self, prefix: str) -> dict[str, Entry]:
        with self._explained():
            return {blob.name: _entry_of(blob) for blob in self._bucket.list_blobs(prefix=prefix, **self._patience)}

    def find(self, name: str) -> Entry | None:
        with self._explained():
            blob = self._bucket.get_blob(name, **self._patience)
            return blob and _entry_of(blob)

    def read(self, name: str) -> bytes | None:
        from google.api_core.exceptions import NotFound

        with self._explained():
            try:
                return self._bucket.blob(name).download_as_bytes(**self._patience)
            except NotFound:
                return None

    def download(self, name: str, path: Path) -> None:
        with self._explained():
            self._bucket.blob(name).download_to_filename(str(path), **self._patience)

    def upload(self, path: Path, name: str) -> Entry:
        with path.open("rb") as file, self._explained():
            blob = self._bucket.blob(name)
            blob.upload_from_file(file, content_type=_content_type(name), **self._patience)
            return _entry_of(blob)

    def write(self, name: str, data: bytes) -> None:
        with self._explained():
            self._bucket.blob(name).upload_from_string(data, **self._patience)

    def create(self, name: str, data: bytes) -> bool:
        from google.api_core.exceptions import PreconditionFailed

        with self._explained():
            try:
                self._bucket.blob(name).upload_from_string(data, if_generation_match=0, **self._patience)
            except PreconditionFailed:
                # the answer to a first try may have been lost on its way
                return self.read(name) == data
            return True

    def delete(self, name: str) -> None:
        from google.api_core.exceptions import NotFound

        with self._explained(), contextlib.suppress(NotFound):
            self._bucket.blob(name).delete(**self._patience)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        import requests
        from google.api_core import exceptions
        from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, TransportError

        name = self._name
        try:
            yield
        except DefaultCredentialsError as error:
            raise _no_credentials(
                name, "run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS to a key file"
            ) from error
        except exceptions.NotFound as error:
            raise _no_bucket(name) from error
        except (exceptions.Forbidden, exceptions.Unauthorized) as error:
            raise _forbidden(name, _reason_of(error)) from error
        except (exceptions.RetryError, exceptions.ServerError, TransportError, requests.RequestException) as error:
            raise _unreachable(name, _reason_of(error.__cause__ or error)) from error
        except (GoogleAuthError, exceptions.GoogleAPIError) as error:
            raise BucketError(f"{name} refuses: {_reason_of(error)}") from error


def _entry_of(blob: Any) -> Entry:
    return Entry(str(blob.generation), blob.updated.timestamp() if blob.updated else 0.0)


class _S3:
    """Amazon S3, and what speaks as it does. AWS_ENDPOINT_URL names another server."""

    def __init__(self, bucket: str) -> None:
        import boto3
        from botocore.config import Config

        self._bucket, self._name = bucket, f"s3://{bucket}"
        with self._explained():
            tries = {"mode": "standard", "total_max_attempts": 5}
            config = Config(connect_timeout=10, read_timeout=PATIENCE, retries=tries)
            self._client = boto3.session.Session().client("s3", config=config)

    def list(self, prefix: str) -> dict[str, Entry]:
        with self._explained():
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
            return {
                each["Key"]: Entry(each["ETag"], each["LastModified"].timestamp())
                for page in pages
                for each in page.get("Contents", ())
            }

    def find(self, name: str) -> Entry | None:
        from botocore.exceptions import ClientError

        with self._explained():
            try:
                head = self._client.head_object(Bucket=self._bucket, Key=name)
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                    raise
                return None
            return Entry(head["ETag"], head["LastModified"].timestamp())

    def read(self, name: str) -> bytes | None:
        with self._explained():
            try:
                return self._client.get_object(Bucket=self._bucket, Key=name)["Body"].read()
            except self._client.exceptions.NoSuchKey:
                return None

    def download(self, name: str, path: Path) -> None:
        with self._explained():
            self._client.download_file(self._bucket, name, str(path))

    def upload(self, path: Path, name: str) -> Entry:
        with path.open("rb") as file, self._explained():
            self._client.upload_fileobj(file, self._bucket, name, ExtraArgs={"ContentType": _content_type(name)})
        found = self.find(name)
        if found is None:
            raise BucketError(f"{self._name}/{name} is gone as soon as it was written; does another process remove it?")
        return found

    def write(self, name: str, data: bytes) -> None:
        with self._explained():
            self._client.put_object(Bucket=self._bucket, Key=name, Body=data)

    def create(self, name: str, data: bytes) -> bool:
        from botocore.exceptions import ClientError

        with self._explained():
            try:
                self._client.put_object(Bucket=self._bucket, Key=name, Body=data, IfNoneMatch="*")
            except ClientError as error:
                if error.response["Error"]["Code"] not in ("PreconditionFailed", "ConditionalRequestConflict", "412"):
                    raise
                return self.read(name) == data  # as above
            return True

    def delete(self, name: str) -> None:
        with self._explained():
            self._client.delete_object(Bucket=self._bucket, Key=name)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        from boto3.exceptions import Boto3Error
        from botocore import exceptions

        name = self._name
        try:
            yield
        except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError, exceptions.NoRegionError) as error:
            raise _no_credentials(
                name, "run `aws configure`, or set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_DEFAULT_REGION"
            ) from error
        except exceptions.ClientError as error:
            code, status = error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
            if code == "NoSuchBucket" or status == 404:
                raise _no_bucket(name) from error
            if status in (401, 403):
                raise _forbidden(name, _reason_of(error)) from error
            raise BucketError(f"{name} refuses: {_reason_of(error)}") from error
        except (exceptions.HTTPClientError, exceptions.ConnectionError) as error:
            raise _unreachable(name, _reason_of(error)) from error
        except (exceptions.BotoCoreError, Boto3Error) as error:
            raise BucketError(f"{name} refuses: {_reason_of(error)}") from error


def _content_type(name: str) -> str:
    """By its suffix, so that a browser shows pages and plays songs."""
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def _no_credentials(name: str, advice: str) -> BucketError:
    return BucketError(f"There are no credentials for {name}; {advice}.")


def _no_bucket(name: str) -> BucketError:
    return BucketError(f"There is no bucket {name}; create it, or mend the name.")


def _forbidden(name: str, reason: str) -> BucketError:
    return BucketError(
        f"You have no permission for {name} ({reason}); a run needs to list, read, write and delete objects there."
    )


def _unreachable(name: str, reason: str) -> BucketError:
    return BucketError(f"{name} cannot be reached ({reason}); when the network is back, the same command goes on.")


def _reason_of(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
