"""docs/reach-the-fake.md: every variable, every reason and every test that it names is there, and the other way round."""

from __future__ import annotations

import re
from pathlib import Path

from rtms_simulator.recall.http.front import proxy, tunnel
from rtms_simulator.recall.reach import proxy_environment, shell_lines
from rtms_simulator.serving.authority import CertificateAuthority

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reach-the-fake.md").read_text()


def test_it_has_the_lines_that_up_prints(tmp_path):
    lines = shell_lines(proxy_environment("http://127.0.0.1:41234", CertificateAuthority(tmp_path)))
    shown = PAGE.split("```text\n")[1].split("```")[0].splitlines()
    assert [line.replace(str(tmp_path.resolve()), "/home/you/project/.rtmskit/tls") for line in lines] == shown


def test_every_refusal_is_explained():
    sources = "".join(Path(module.__file__ or "").read_text() for module in (proxy, tunnel))
    codes = set(re.findall(r'"(proxy_[a-z_]+)"', sources))
    assert len(codes) == 6
    assert codes == set(re.findall(r"`(proxy_[a-z_]+)`", PAGE)) - {"proxy_environment"}


def test_every_client_is_tried_by_a_test_that_exists():
    tests = (ROOT / "tests" / "conformance" / "test_recall_clients.py").read_text()
    named = re.findall(r"`test_recall_clients\.py::(\w+)`", PAGE)
    assert len(set(named)) == 4
    assert [name for name in named if f"def {name}(" not in tests] == []


def test_the_bundle_holds_the_runs_authority(tmp_path):
    authority = CertificateAuthority(tmp_path)
    assert authority.ca_file.read_text().strip() in authority.bundle_file.read_text()
