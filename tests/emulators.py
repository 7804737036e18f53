"""Buckets on this machine for tests: emulators of Google Cloud Storage and Amazon S3, and servers that refuse."""

import contextlib
import socket
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

BUCKET = "bucket"


@contextlib.contextmanager
def google(patch):
    """Google's, with one bucket, for this process and those that it starts."""
    pytest.importorskip("google.cloud.storage", reason="needs google-cloud-storage: pip install 'mcvae_jax[test]'")
    emulator = pytest.importorskip("gcp_storage_emulator.server", reason="needs gcp-storage-emulator")
    from gcp_storage_emulator.handlers import objects

    def insert(request, response, storage):  # the emulator knows no ifGenerationMatch=0: there is no such object
        if request.query.get("ifGenerationMatch") == ["0"]:
            name = request.query["name"][0] if "name" in request.query else request.data["meta"]["name"]
            with contextlib.suppress(Exception):
                storage.get_file_obj(request.params["bucket_name"], name)
                response.status = HTTPStatus.PRECONDITION_FAILED
                return
        objects.insert(request, response, storage)

    handlers = tuple(
        (place, {method: insert if each is objects.insert else each for method, each in methods.items()})
        for place, methods in emulator.HANDLERS
    )
    patch.setattr(emulator, "HANDLERS", handlers)
    server = emulator.create_server("127.0.0.1", port := free_port(), in_memory=True, default_bucket=BUCKET)
    server.start()
    patch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
    try:
        yield
    finally:
        server.stop()


@contextlib.contextmanager
def amazon(patch):
    """Amazon's, with one bucket."""
    boto3 = pytest.importorskip("boto3", reason="needs boto3: pip install 'mcvae_jax[test]'")
    moto = pytest.importorskip("moto.server", reason="needs moto[s3] with flask")
    server = moto.ThreadedMotoServer("127.0.0.1", port := free_port(), verbose=False)
    server.start()
    patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    amazon_keys(patch)
    try:
        boto3.client("s3").create_bucket(Bucket=BUCKET)
        yield
    finally:
        server.stop()


def amazon_keys(patch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        patch.setenv(name, "test")
    patch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@contextlib.contextmanager
def answering(status):
    """A server that answers everything with one status; gives its address."""

    class Handler(BaseHTTPRequestHandler):
        def do(self):
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def another_machine(patch, folder):
    """Nothing of what this process has from buckets is known here; the cache is in `folder`."""
    from mcvae_jax import places
    from mcvae_jax.storage import buckets

    with patch.context() as inner:
        inner.setenv("MCVAE_CACHE", str(folder))
        inner.setattr(buckets, "_used", [])
        inner.setattr(places, "_stand", {})
        yield
        for used in buckets._used:
            used.lock.close()
