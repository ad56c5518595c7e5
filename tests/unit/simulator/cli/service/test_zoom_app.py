"""`rtmskit zoom-app`: all that the quickstart has a person enter at Zoom, as text and as data."""

import json

import pytest
from click.testing import CliRunner

from rtms_simulator.cli.service.zoom_app import PLACEHOLDER, zoom_app
from rtms_simulator.zoom.webhooks.events import EVENTS

URL = "https://rtmskit-prod-webhook-123456789012.us-east4.run.app"


def shown(*arguments):
    return CliRunner().invoke(zoom_app, list(arguments))


def test_as_data_it_holds_addresses_events_scopes_and_where_each_value_goes():
    app = json.loads(shown("--webhook-url", URL, "--json").output)
    assert app["oauth_redirect_url"] == f"{URL}/oauth-callback/zoom"
    assert app["event_subscription"]["endpoint_url"] == f"{URL}/zoom-webhook"
    assert app["event_subscription"]["method"] == "Webhook"
    assert set(app["event_subscription"]["events"]) == {name for name in EVENTS if "rtms" in name}
    assert app["scopes"]["Meeting"] == [
        f"meeting:read:meeting_{kind}" for kind in ("audio", "chat", "transcript", "screenshare", "video")
    ]  # the quickstart, step 10
    assert app["scopes"]["RTMS"] == ["rtms:read:rtms_started", "rtms:read:rtms_stopped", "rtms:read:rtms_interrupted"]
    assert {entry["variable"] for entry in app["copy"]} == {"ZOOM_CLIENT_ID", "ZOOM_CLIENT_SECRET", "ZOOM_SECRET_TOKEN"}


def test_as_text_it_shows_everything_that_the_data_holds():
    app = json.loads(shown("--webhook-url", URL, "--json").output)
    text = shown("--webhook-url", URL).output
    wanted = [app["app_type"], app["oauth_redirect_url"], app["event_subscription"]["endpoint_url"], app["auto_start_url"]]
    wanted += app["event_subscription"]["events"] + [scope for scopes in app["scopes"].values() for scope in scopes]
    wanted += [entry["key"] for entry in app["copy"]] + ["Local Test", "Validate"]
    assert [value for value in wanted if value not in text] == []


def test_one_product_shows_its_own_events_and_the_accounts():
    app = json.loads(shown("--product", "phone", "--json").output)
    products = {name.split(".")[0] for name in app["event_subscription"]["events"]}
    assert products == {"phone", "rtms"}


def test_without_an_address_it_shows_a_placeholder_and_says_so():
    done = shown()
    assert f"{PLACEHOLDER}/zoom-webhook" in done.stdout
    assert "--webhook-url" in done.stderr


@pytest.mark.parametrize("given", [URL, URL + "/", URL + "/zoom-webhook"])
def test_an_address_is_taken_with_and_without_the_path(given):
    assert json.loads(shown("--webhook-url", given, "--json").output)["oauth_redirect_url"] == f"{URL}/oauth-callback/zoom"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("http://rtms.example.com", "https addresses only"),
        ("https://localhost:8080", "public host name"),
        ("https://127.0.0.1", "public host name"),
        ("https://[::1]/", "public host name"),
        ("https://nas.local", "public host name"),
        ("https://rtms.example.com/hooks", "the path is /zoom-webhook"),
        ("https://rtms.example.com/?a=b", "no query"),
        ("rtms.example.com", "https addresses only"),
    ],
)
def test_what_zoom_would_not_accept_is_refused_with_the_reason(given, why):
    done = shown("--webhook-url", given)
    assert done.exit_code == 2
    assert why in done.stderr
    assert "Do: " in done.stderr
