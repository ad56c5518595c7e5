"""`rtmskit ca`: the authority of this folder, and how each client is told to trust it."""

from __future__ import annotations

import json
from pathlib import Path

from rtms_simulator.cli.service.ca import CLIENTS, markdown

PAGE = (Path(__file__).parents[5] / "docs/trust.md").read_text()


def test_the_path_is_the_same_each_time_and_the_one_that_up_uses(rtmskit, tmp_path):
    first = rtmskit("ca", "path", "--directory", str(tmp_path)).stdout.strip()
    content = Path(first).read_bytes()
    assert rtmskit("ca", "path", "--directory", str(tmp_path)).stdout.strip() == first == str(tmp_path / "tls/ca.pem")
    assert Path(first).read_bytes() == content
    as_json = json.loads(rtmskit("ca", "path", "--directory", str(tmp_path), "--json").stdout)
    assert as_json == {"ca_file": first, "bundle_file": str(tmp_path / "tls/ca-bundle.pem")}


def test_help_names_each_clients_variable_with_the_real_paths(rtmskit, tmp_path):
    said = rtmskit("ca", "help", "--directory", str(tmp_path)).stdout
    for variable in ("ZM_RTMS_CA", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "javax.net.ssl.trustStore", ".NET", "Go"):
        assert variable in said
    assert str(tmp_path / "tls/ca.pem") in said
    assert "{" not in said
    rows = json.loads(rtmskit("ca", "help", "--directory", str(tmp_path), "--json").stdout)["clients"]
    assert [row["client"] for row in rows] == [one.client for one in CLIENTS]


def test_the_page_has_the_table():
    assert markdown() in PAGE
