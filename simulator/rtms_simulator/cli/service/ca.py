"""`rtmskit ca`: the certificate authority of this folder, and how to make each client trust it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from rtms_simulator.cli.output import as_json as as_json_option
from rtms_simulator.cli.output import say_json

if TYPE_CHECKING:
    from rtms_simulator.serving.authority import CertificateAuthority

DEFAULT_FOLDER = Path(".rtmskit")


class Trust(NamedTuple):
    """How to make one kind of client trust an authority. `how` has `{ca}` for its file, `{bundle}` for it with the public ones."""

    client: str
    how: str
    note: str


CLIENTS: tuple[Trust, ...] = (
    Trust(
        "Zoom's SDK (rtms, Python and Node)",
        "export ZM_RTMS_CA={ca}",
        "the path must be absolute; the URL must say localhost, not an IP address",
    ),
    Trust("Node", "export NODE_EXTRA_CA_CERTS={ca}", "adds to what Node trusts; read when the process starts"),
    Trust("OpenSSL: Python's ssl and websockets, Ruby, PHP, curl on Linux", "export SSL_CERT_FILE={bundle}", "replaces what is trusted"),
    Trust("Python's requests and aiohttp through certifi", "export REQUESTS_CA_BUNDLE={bundle}", "replaces what is trusted"),
    Trust("curl", "curl --cacert {ca} ...", "or CURL_CA_BUNDLE={bundle}"),
    Trust("Go (Linux)", "export SSL_CERT_FILE={bundle}", "on macOS and Windows: add it to the system's store, or to RootCAs in the code"),
    Trust(".NET (Linux)", "export SSL_CERT_FILE={bundle}", "on Windows: certutil -addstore -user Root {ca}"),
    Trust(
        "Java",
        "keytool -importcert -noprompt -alias rtmskit -file {ca} -keystore rtmskit.jks -storepass changeit",
        "then java -Djavax.net.ssl.trustStore=rtmskit.jks -Djavax.net.ssl.trustStorePassword=changeit ...",
    ),
    Trust(
        "Rust (rustls-native-certs, native-tls on Linux)",
        "export SSL_CERT_FILE={bundle}",
        "webpki-roots knows no variable: add it in the code",
    ),
)


_DIRECTORY = click.option(
    "--directory", type=click.Path(path_type=Path), default=DEFAULT_FOLDER, show_default=True, help="As of `up` and `meeting play`."
)


@click.group()
def ca() -> None:
    """Show the certificate authority of this folder, and how to trust it."""


@ca.command()
@_DIRECTORY
@as_json_option
def path(directory: Path, *, as_json: bool) -> None:
    """Print the file of the authority; it is made if there is none yet."""
    from rtms_simulator.serving.authority import CertificateAuthority

    authority = CertificateAuthority.of_folder(directory)
    if as_json:
        say_json({"ca_file": str(authority.ca_file), "bundle_file": str(authority.bundle_file)})
    else:
        click.echo(str(authority.ca_file))


@ca.command("help")
@_DIRECTORY
@as_json_option
def help_(directory: Path, *, as_json: bool) -> None:
    """Show how to make each client trust it: the variable, or the command."""
    from rtms_simulator.serving.authority import CertificateAuthority

    authority = CertificateAuthority.of_folder(directory)
    rows = [
        {"client": one.client, "how": _filled(one.how, authority), "note": _filled(one.note, authority)} for one in CLIENTS
    ]  # fmt: skip
    if as_json:
        say_json({"clients": rows})
        return
    for row in rows:
        click.echo(f"{row['client']}\n    {row['how']}\n    {row['note']}")


def _filled(text: str, authority: CertificateAuthority) -> str:
    return text.replace("{ca}", str(authority.ca_file)).replace("{bundle}", str(authority.bundle_file))


def markdown() -> str:
    """The table of docs/trust.md."""
    rows = [f"| {one.client} | `{_plain(one.how)}` | {_plain(one.note)} |" for one in CLIENTS]
    return "\n".join(("| client | say | note |", "| --- | --- | --- |", *rows))


def _plain(text: str) -> str:
    return text.replace("{ca}", "$PWD/.rtmskit/tls/ca.pem").replace("{bundle}", "$PWD/.rtmskit/tls/ca-bundle.pem")
