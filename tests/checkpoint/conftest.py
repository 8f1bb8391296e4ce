"""An object store for tests: moto's S3 server on loopback."""

from __future__ import annotations

import contextlib
import io
import logging

import pytest


@pytest.fixture(scope="module")
def server():
  moto = pytest.importorskip("moto.server", reason="moto[s3], flask and flask-cors are in the extra dev")
  logging.getLogger("werkzeug").setLevel(logging.ERROR)
  with contextlib.redirect_stdout(io.StringIO()):
    started = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    started.start()
  yield "http://{}:{}".format(*started.get_host_and_port())
  started.stop()


@pytest.fixture
def bucket(server, monkeypatch, tmp_path):
  import boto3

  (tmp_path / "aws").write_text("")
  for name, value in {
    "AWS_ACCESS_KEY_ID": "one",
    "AWS_SECRET_ACCESS_KEY": "two",
    "AWS_REGION": "us-east-1",
    "AWS_ENDPOINT_URL": server,
    "AWS_CONFIG_FILE": str(tmp_path / "aws"),
    "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "aws"),
  }.items():
    monkeypatch.setenv(name, value)
  name = f"bucket-{tmp_path.name[:40].replace('_', '-').lower().strip('-')}"
  boto3.client("s3", endpoint_url=server).create_bucket(Bucket=name)
  return f"s3://{name}"
