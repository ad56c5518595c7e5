"""Every error that a command can end with: the situation, the command line, the exit code, what it says, and the next step.

`test_errors.py` provokes each one. `{...}` is filled in by `Place`: files, addresses, a running `up`.
"""

from __future__ import annotations

from typing import NamedTuple

SECRET = "--secret-token s"
TO = "--webhook {receiver} --secret-token s"
PLAY = "meeting play --webhook {receiver} --secret-token s --client-id i --client-secret c --speed max"
SEND = f"send meeting.rtms_started {TO}"


class Row(NamedTuple):
    """`says` is part of the line `Error: ...`, `do` of the line `Do: ...`. `by` names the function that ends the command."""

    situation: str
    command: str
    code: int
    says: str
    do: str
    by: str
    packages: tuple[tuple[str, str], ...] = ()
    """Packages that are not installed (""), or installed in another folder."""


ROWS = (
    # --- no `up`, or not a whole one
    Row(
        "no `up` runs here",
        "events list",
        3,
        "no `rtmskit up` is running here: .rtmskit/up.json is not there",
        "start `rtmskit up` here",
        "_left",
    ),
    Row("the `up` has ended", "events list --up {ended}", 3, "has ended", "start it again", "_left"),
    Row(
        "the file is another",
        "events list --up {junk}",
        2,
        "is not what `rtmskit up` writes",
        "delete it and start `rtmskit up` again",
        "_left",
    ),
    Row("the `up` answers no more", "faults clear --up {mute}", 3, "does not answer", "is `rtmskit up` still running?", "_reply"),
    Row("the `up` refuses", "faults clear --up {refusing}", 2, "nothing of the kind (HTTP 404)", "change what is named", "_refused"),
    Row("the `up` fails", "faults clear --up {failing}", 1, "it broke (HTTP 500)", "shows the log lines of it", "_refused"),
    Row(
        "the `up` has no function",
        f"send meeting.rtms_started --up {{bare}} {SECRET}",
        3,
        "knows no webhook",
        "name one with --webhook",
        "receiver",
    ),
    Row("the `up` has no worker", "recordings list --up {bare}", 3, "this `up` runs no worker", "name one with --worker", "_running_here"),
    # --- serve
    Row("a file that is there", "serve --init --env-file {text}", 2, "is there already", "name another with --env-file", "write_template"),
    Row("no place for a file", "serve --init --env-file {text}/env", 2, "cannot be written", "name another", "write_template"),
    Row("no variables", "serve --env-file {junk}x", 2, "cannot be read", "`rtmskit serve --init` writes a template", "_environment"),
    Row("a tunnel that Zoom refuses", "serve --tunnel http://x.example", 2, "--tunnel 'http://x.example'", "your tunnel's", "base_url"),
    Row(
        "no ngrok",
        "serve --tunnel ngrok",
        2,
        "--tunnel ngrok needs the extra `tunnel`",
        "pip install 'rtmskit[tunnel]'",
        "_public",
        packages=(("ngrok", ""),),
    ),
    Row("TLS and a tunnel", "serve --tls --tunnel ngrok", 2, "a tunnel has a certificate of its own", "leave one of them out", "serve"),
    Row("a `serve` runs here", "serve --up {serving}", 2, "is running here already", "end it first", "serve"),
    # --- receivers and secrets
    Row("no scheme", f"send meeting.rtms_started --webhook localhost:80 {SECRET}", 2, "is not a URL", "http:// or https://", "receiver"),
    Row("no secret", "send meeting.rtms_started --webhook {receiver}", 2, "--secret-token is missing", "ZOOM_SECRET_TOKEN", "receiver"),
    Row(
        "secret in quotes",
        "send meeting.rtms_started --webhook {receiver} --secret-token '\"s\"'",
        2,
        "in quotes",
        "leave the quotes out",
        "checked_secret",
    ),
    Row(
        "placeholder",
        "send meeting.rtms_started --webhook {receiver} --secret-token '<token>'",
        2,
        "placeholder",
        "the value itself",
        "checked_secret",
    ),
    Row(
        "masked",
        "send meeting.rtms_started --webhook {receiver} --secret-token 'ab****yz'",
        2,
        "is masked",
        "copy the secret itself",
        "checked_secret",
    ),
    Row(
        "line break",
        "send meeting.rtms_started --webhook {receiver} --secret-token 's\n'",
        2,
        "a line break",
        "copy the value alone",
        "checked_secret",
    ),
    Row(
        "header's scheme",
        "recordings list --worker {worker} --token 'Bearer abc'",
        2,
        "begins with 'Bearer'",
        "the value behind it",
        "checked_secret",
    ),
    Row(
        "no credentials",
        f"meeting play {TO}",
        2,
        "--client-id and --client-secret are missing",
        "pass those that your receiver signs with",
        "_play_with_own_zoom",
    ),
    # --- send
    Row(
        "a slip in an event's name",
        f"send meeting.startd {TO}",
        2,
        "is not an RTMS event",
        "did you mean meeting.started or meeting.rtms_started?",
        "composed",
    ),
    Row("no such event", f"send nope {TO}", 2, "is not an RTMS event", "choose one of meeting.rtms_started", "composed"),
    Row("--set without value", f"{SEND} --set a", 2, "has no value", "write PATH=VALUE", "composed"),
    Row("--set not UTF-8", f"{SEND} --set payload.a={chr(0xDCE9)}", 2, "bytes that are not UTF-8", "JSON with escapes", "composed"),
    Row("--unset nothing", f"{SEND} --unset payload.x", 2, "has no such field", "it has event, event_ts", "composed"),
    Row("outer form", f"{SEND} --set more=1", 2, "outer form", "--raw FILE", "composed"),
    Row("odd path", f"{SEND} --set a..b=1", 2, "is not a path", "single dots", "_parent"),
    Row("path through a text", f"{SEND} --set payload.meeting_uuid.x=1", 2, "is not an object", "the event has", "_parent"),
    Row("--raw and --set", f"{SEND} --raw {{text}} --set a=1", 2, "--raw is sent as it is", "leave --raw out", "send"),
    Row(
        "a fault of another event",
        f"{SEND} --fault 'zoom.webhook.meeting.rtms_stopped: unsigned'",
        2,
        "is for other events than meeting.rtms_started",
        "write zoom.webhook.* as its target",
        "_fits",
    ),
    Row(
        "--raw in another style",
        f"{SEND} --raw {{text}} --fault 'zoom.webhook.*: style escaped-slashes'",
        2,
        "--raw is sent as it is",
        "leave one of them out",
        "_fits",
    ),
    Row("--raw nowhere", f"{SEND} --raw gone", 2, "No such file", "name a file that can be read", "_bytes"),
    Row("no such fault", f"{SEND} --fault nope", 2, "a fault is written `TARGET: STEP`", "`rtmskit faults list`", "deliver"),
    Row(
        "a meeting's fault",
        f"{SEND} --fault 'zoom.webhook.*: duplicate'",
        2,
        "means nothing for one event",
        "others go with a meeting",
        "_fits",
    ),
    Row(
        "a style that changes nothing",
        f"{SEND} --fault 'zoom.webhook.*: style escaped-unicode'",
        2,
        "changes nothing of meeting.rtms_started",
        "choose another style",
        "_fits",
    ),
    Row(
        "nobody listens",
        f"send meeting.rtms_started --webhook {{closed}} {SECRET}",
        3,
        "gave no answer",
        "is the receiver running there?",
        "_judge",
    ),
    Row(
        "the receiver refuses",
        f"send meeting.rtms_started --webhook {{refuses}} {SECRET}",
        1,
        "HTTP 403 as a failure",
        "answer 200 or 204",
        "_judge",
    ),
    Row("wrong challenge", f"send endpoint.url_validation {TO}", 1, "the challenge was answered wrongly", "encryptedToken", "_judge"),
    # --- own files
    Row("no such recording", f"{PLAY} --media gone.mp4", 2, "there is no such file", "look at the name", "say_what_plays"),
    Row("a web page", f"{PLAY} --media {{page}}", 2, "it is a web page (HTML)", "download the file again, signed in", "say_what_plays"),
    Row("empty recording", f"{PLAY} --media {{empty}}", 2, "it is empty (0 bytes)", "download or record it again", "say_what_plays"),
    Row("index missing", f"{PLAY} --media {{noindex}}", 2, "its index (the moov box) is missing", "to its end", "say_what_plays"),
    Row("no transcript", f"{PLAY} --transcript {{prose}}", 2, "not a .vtt transcript", "write WEBVTT", "say_what_plays"),
    Row("recording as transcript", f"{PLAY} --transcript x.mp4", 2, "are not supported", "give it to --media", "say_what_plays"),
    Row("strict", f"{PLAY} --strict --transcript {{odd}}", 2, "line 5: no blank line", "leave --strict out", "say_what_plays"),
    Row("check", "media check {page} x.doc", 2, "files of the kind .doc", "download the file again", "check_"),
    # --- meetings
    Row("no such scenario", f"{PLAY} nope", 2, "there is no scenario 'nope'", "`rtmskit scenarios list`", "_loaded"),
    Row("no such speed", f"{PLAY.replace('max', 'fast')}", 2, "speed is 'fast'", "change what is named", "_own_zoom"),
    Row("port taken", f"{PLAY} --rtms-port {{taken}}", 2, "is taken", "leave --rtms-port out", "_own_zoom"),
    Row(
        "nobody listens",
        f"{PLAY.replace('{receiver}', '{closed}')}",
        3,
        "cannot be reached",
        "is the receiver running there?",
        "_play_here",
    ),
    Row("--tls in `up`", "meeting play --tls", 2, "go with --webhook", "give them to `rtmskit up`", "play"),
    Row("demo of many", "demo --scenario twenty-at-once", 2, "a demo plays one", "change what is named", "demo"),
    Row("no such scenario", "scenarios show nope", 2, "there is no scenario 'nope'", "`rtmskit scenarios list`", "show"),
    # --- a running `up`
    Row("odd duration", "clock advance soon --up {nothing}", 2, "is not a duration", "write seconds", "seconds"),
    Row("odd rate", "clock freeze --rate -1", 2, "is not a rate", "give a number from 0", "freeze"),
    Row("no such fault", "faults add nope", 2, "a fault is written", "`rtmskit faults list`", "add"),
    Row("fault not armed", "faults clear 7 --up {nothing}", 2, "no fault 7 is armed", "`rtmskit faults list`", "clear"),
    Row("another version", "events show msg_1 --up {nothing}", 1, "does not know", "is `up` of another version?", "ask"),
    Row("no value for a switch", "switches set zoom.close_code --up {nothing}", 2, "has no value", "write SWITCH=VALUE", "parsed"),
    Row(
        "a switch of another fake",
        f"{PLAY} --set recall.page_size=3",
        2,
        "only Zoom is simulated here",
        "play it in `rtmskit up`",
        "_own_zoom",
    ),
    Row("replay of nothing", f"events replay gone.json {TO}", 2, "No such file", "give an ID", "_replay_file"),
    Row(
        "replay of another file",
        f"events replay {{text}} {TO}",
        2,
        "is neither what",
        "`rtmskit events show ID --json > FILE`",
        "_replay_file",
    ),
    Row("replay refused", f"events replay {{saved}} --webhook {{refuses}} {SECRET}", 1, "refused it with 403", "", "replay"),
    Row("two ports alike", "up --zoom-port 4321 --recall-port 4321", 2, "are both 4321", "leave one out", "_differ"),
    Row("receivers and function", "up --webhook http://x", 2, "receivers of your own", "add --no-function", "up"),
    Row("a receiver without scheme", "up --no-function --webhook localhost:80", 2, "is not a URL", "http:// or https://", "up"),
    Row("`up` file a directory", "up --up .", 2, "is a directory", "name a file", "up"),
    Row("a second `up`", "up --up {bare}", 2, "is running here already", "another --up FILE", "up"),
    Row("nowhere to write", "up --directory {text}/x", 2, "cannot be written", "name a place of your own", "writable"),
    Row("no emulator", "demo --state firestore://p/d", 2, "FIRESTORE_EMULATOR_HOST is not set", "start an emulator", "checked_state"),
    Row("no such store", "demo --state mysql://x", 2, "is not a store", "write sqlite:///path or firestore://", "checked_state"),
    # --- the service
    Row("no URL", f"doctor x {SECRET}", 2, "is not a URL", "write it with https://", "endpoint"),
    Row("plain http", f"doctor http://example.org {SECRET}", 2, "is not encrypted", "use https", "endpoint"),
    Row("no secret", "doctor {receiver}", 2, "--secret-token is missing", "ZOOM_SECRET_TOKEN", "doctor"),
    Row(
        "code that is no hash",
        f"doctor {{receiver}} {SECRET} --code latest",
        2,
        "is not a hash",
        "`pulumi stack output codeHash`",
        "_deployed",
    ),
    Row("nobody listens", f"doctor {{closed}} {SECRET}", 3, "does not answer", "check the address", "_examined"),
    Row("odd host", f"doctor https://ex\u2603.invalid {SECRET}", 2, "is not a URL", "look at its host name", "_examined"),
    Row("no certificate", f"doctor {{closed}} {SECRET} --ca {{text}}", 2, "holds no certificate", "give a PEM file", "_examined"),
    Row("certificate of nobody", f"doctor {{tls}} {SECRET}", 3, "cannot be verified", "For a CA of your own give --ca FILE", "_examined"),
    Row(
        "no public address",
        "zoom-app --webhook-url https://localhost",
        2,
        "Zoom needs a public host name",
        "pulumi stack output",
        "base_url",
    ),
    Row("no URL", "recordings list --worker x", 2, "is not a URL", "http:// or https://", "target"),
    Row(
        "endpoint in the URL",
        "recordings list --worker {worker}/recordings",
        2,
        "names an endpoint",
        "the worker's address alone",
        "target",
    ),
    Row("odd host", "recordings list --token t --worker https://ex\u2603.invalid", 2, "is not a URL", "look at its host name", "ask"),
    Row(
        "no worker there",
        "recordings list --worker {closed}",
        3,
        "does not answer",
        "is it running, and is --worker right?",
        "ask",
    ),
    Row(
        "no such recording",
        "recordings show b --worker {worker}",
        2,
        "there is no hand-off 'b'",
        "`rtmskit handoffs list`",
        "resolved",
    ),
    Row("no identity", "recordings list --worker {refuses}", 1, "HTTP 403", "pass an identity token with --token", "ask"),
    Row(
        "expired link",
        "recordings download {key} --worker {expired}",
        1,
        "refuses the link",
        "is this machine's clock right",
        "ask",
    ),
    Row("no name for a file", "recordings download {key} --worker {worker} -o ''", 2, "names no file", "leave it out", "download"),
    Row(
        "file cannot be written",
        "recordings download {key} --worker {worker} -o {text}/x",
        2,
        "cannot be written",
        "another place",
        "download",
    ),
    # --- the Pulumi project
    Row("a project is there", "infra init {project}", 2, "has Pulumi.yaml already", "name an empty folder", "init"),
    Row("a file in the way", "infra init {text}/x", 2, "Not a directory", "name a folder that can be written", "init"),
    Row(
        "half installed",
        "infra init new",
        2,
        "the package rtms_relay is not installed",
        "install rtmskit again",
        "_package",
        packages=(("rtms_relay", ""),),
    ),
    Row(
        "installed without the project",
        "infra init new",
        2,
        "lacks Pulumi.yaml",
        "install rtmskit again",
        "_root",
        packages=(("rtms_infra", "{bare_install}"),),
    ),
    # --- the rehearsal
    Row("no such drill", "rehearse --drill nope", 2, "there is no drill 'nope'", "choose of: meeting", "_chosen"),
    Row("no stack's settings", "rehearse {text}", 2, "has no mapping `config`", "infra/stacks/minimal.yaml", "_rehearse"),
    Row(
        "no Pulumi",
        "rehearse",
        2,
        "not installed: pulumi",
        "pip install 'rtmskit[infra]'",
        "rehearse",
        packages=(("pulumi", ""),),
    ),
)
