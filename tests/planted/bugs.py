"""Bugs that somebody might really write at the relay's edges: each a patch of today's source, and the test that kills it.

`python -m tests.planted` plants each in a copy of `function/` and runs its test there, which must fail in under a minute.
`test_bugs.py` holds the list to today's source in every run of the tests, so that it cannot rot.
"""

from __future__ import annotations

from dataclasses import dataclass

UNIT = "tests/unit/relay"
HOSTILE = "tests/security/test_hostile_recall.py"
PROCESS = "tests/security/test_real_process.py"
TOLERANCE = "tests/property/relay/test_tolerance.py"
ROUTES = f"{UNIT}/routes/test_webhook.py"


@dataclass(frozen=True, slots=True)
class Bug:
    """`file`: below `function/`. `source` occurs there once and is replaced by `instead`. `test`: a node id of pytest's."""

    name: str
    file: str
    source: str
    instead: str
    test: str


BUGS = (
    # zoom.py
    Bug(
        "a stop without the meeting's id is thrown away",
        "rtms_relay/zoom.py",
        "return Stopped(\n            product,\n            fields.entity(product),\n",
        "return Stopped(\n            product,\n            fields.identifier(ENTITY_FIELDS[product]),\n",
        f"{UNIT}/test_zoom.py::test_a_stop_needs_its_stream_only",
    ),
    Bug(
        "a revocation as text is none",
        "rtms_relay/zoom.py",
        "    if isinstance(value, str) and len(value) <= 40:\n",
        "    if isinstance(value, str) and len(value) <= 0:\n",
        f"{TOLERANCE}::test_a_revocation_with_its_reason_as_text_is_one",
    ),
    Bug(
        "seconds are taken for milliseconds",
        "rtms_relay/zoom.py",
        "round(number * 1000) if _SECONDS[0] <= number < _SECONDS[1] else round(number)",
        "round(number)",
        f"{UNIT}/test_zoom.py::test_event_ts_may_be_text_a_fraction_or_seconds",
    ),
    Bug(
        "a blank in server_urls stays",
        "rtms_relay/zoom.py",
        "if (url := part.strip())]",
        "if (url := part)]",
        f"{UNIT}/test_zoom.py::test_server_urls_lose_blanks_and_empty_items_and_nothing_else",
    ),
    Bug(
        "a stale request is taken",
        "rtms_relay/zoom.py",
        "if abs(now_ms - int(timestamp) * 1000) > window_s * 1000:",
        "if int(timestamp) * 1000 - now_ms > window_s * 1000:",
        f"{UNIT}/test_zoom.py::test_the_window_is_symmetric",
    ),
    Bug(
        "an empty previous secret verifies",
        "rtms_relay/zoom.py",
        "usable = [secret for secret in secrets if secret]",
        "usable = list(secrets)",
        f"{UNIT}/test_zoom.py::test_an_empty_previous_secret_is_no_secret",
    ),
    Bug(
        "a host that ends like an allowed one is allowed",
        "rtms_relay/zoom.py",
        "return host.endswith(pattern[1:]) and",
        "return host.endswith(pattern[2:]) and",
        f"{UNIT}/test_zoom.py::test_other_hosts_get_no_signature",
    ),
    Bug(
        "the challenge signs whatever it is given",
        "rtms_relay/zoom.py",
        "    if not _TOKEN.fullmatch(plain_token):\n",
        "    if not plain_token:\n",
        f"{ROUTES}::test_a_challenge_cannot_forge_a_start",
    ),
    # tolerant.py
    Bug(
        "a broken body is refused whole",
        "rtms_relay/tolerant.py",
        "    value = _Reader(text(body)).value(0)\n",
        '    raise ValueError("it is not JSON")\n    value = _Reader(text(body)).value(0)\n',
        f"{TOLERANCE}::test_garbage_in_a_field_that_nobody_reads_changes_no_event_of_zooms",
    ),
    Bug(
        "a body of any size is mended",
        "rtms_relay/tolerant.py",
        "    if len(body) > MAX_BYTES:\n",
        "    if len(body) > 100 * MAX_BYTES:\n",
        f"{UNIT}/test_tolerant.py::test_only_a_megabyte_is_mended_and_sound_json_of_any_size_read",
    ),
    Bug(
        "nesting without end is followed",
        "rtms_relay/tolerant.py",
        "MAX_DEPTH = 64",
        "MAX_DEPTH = 100_000",
        f"{UNIT}/test_tolerant.py::test_what_is_nested_too_deeply_is_not_read_and_what_follows_is",
    ),
    Bug(
        "a broken character in an id is dropped in silence",
        "rtms_relay/tolerant.py",
        'decode("utf-8", "surrogateescape")',
        'decode("utf-8", "ignore")',
        f"{UNIT}/test_tolerant.py::test_what_is_broken_stays_alone",
    ),
    Bug(
        "content of an unusable event is told",
        "rtms_relay/tolerant.py",
        "if (word or number) and _ID_LIKE.fullmatch(key)}",
        "if word or number}",
        f"{UNIT}/test_zoom.py::test_an_unusable_event_tells_its_keys_and_its_ids_and_nothing_else",
    ),
    # recall.py
    Bug(
        "a list that ends too early is whole",
        "rtms_relay/recall.py",
        "    if len(cursors) != 1:\n",
        '    if len(cursors) != 1:\n        return ""\n    if False:\n',
        f"{UNIT}/test_recall.py::test_a_list_that_ends_too_early_is_an_error",
    ),
    Bug(
        "a page without results is an empty one",
        "rtms_relay/recall.py",
        "    if not isinstance(results, list):\n        raise",
        "    if not isinstance(results, list):\n        return [], None\n    if False:\n        raise",
        f"{UNIT}/test_recall.py::test_a_list_that_ends_too_early_is_an_error",
    ),
    Bug(
        "a long next is none",
        "rtms_relay/recall.py",
        "MAX_NEXT = 16_000",
        "MAX_NEXT = 500",
        f"{UNIT}/test_recall.py::test_a_next_of_16000_characters_is_followed",
    ),
    Bug(
        "whose a recording is is not read",
        "rtms_relay/recall.py",
        'return View(recording, links, _text(_dict(item.get("metadata")).get(METADATA_KEY)))',
        "return View(recording, links)",
        f"{UNIT}/test_recall.py::test_a_recording_shows_whose_it_is",
    ),
    Bug(
        "a style without an end takes quadratic time",
        "rtms_relay/recall.py",
        "        text = _without_tags(text)\n",
        '        text = re.sub(r"(?s)<(style|script).*?</\\1>|<[^>]*>", " ", text)\n',
        f"{HOSTILE}::test_an_excerpt_of_a_hostile_error_body_takes_no_time",
    ),
    Bug(
        "a webhook is good for an hour",
        "rtms_relay/recall.py",
        "WEBHOOK_TOLERANCE_S = 300",
        "WEBHOOK_TOLERANCE_S = 3600",
        f"{UNIT}/test_recall.py::test_a_webhook_is_good_for_five_minutes",
    ),
    # adapters/recall_http.py
    Bug(
        "the time limit is a thousand times too long",
        "rtms_relay/adapters/recall_http.py",
        "asyncio.timeout(self._timeout_s),",
        "asyncio.timeout(self._timeout_s * 1000),",
        f"{HOSTILE}::test_a_call_ends_in_time_whatever_drips",
    ),
    Bug(
        "a content-encoding is unpacked",
        "rtms_relay/adapters/recall_http.py",
        "                if not _encoded(response):\n                    async for chunk in response.aiter_raw():",
        "                if True:\n                    async for chunk in response.aiter_bytes():",
        f"{HOSTILE}::test_no_content_encoding_is_asked_for_or_unpacked",
    ),
    Bug(
        "an encoded download is kept as it is",
        "rtms_relay/adapters/recall_http.py",
        "                if _encoded(response):\n",
        "                if False:\n",
        f"{HOSTILE}::test_no_content_encoding_is_asked_for_or_unpacked",
    ),
    Bug(
        "proxies of the environment see the key",
        "rtms_relay/adapters/recall_http.py",
        "trust_env=False",
        "trust_env=True",
        f"{HOSTILE}::test_proxies_and_netrc_of_the_environment_are_not_used",
    ),
    Bug(
        "redirects are followed with the key",
        "rtms_relay/adapters/recall_http.py",
        "follow_redirects=False",
        "follow_redirects=True",
        f"{UNIT}/adapters/test_recall_http.py::test_a_redirect_is_not_followed",
    ),
    Bug(
        "the key goes to the bucket",
        "rtms_relay/adapters/recall_http.py",
        "timeout=timeout, headers=_IDENTITY)",
        'timeout=timeout, headers={**_IDENTITY, "Authorization": f"Token {self._api_key}"})',
        f"{UNIT}/adapters/test_recall_http.py::test_a_download_takes_no_key_along",
    ),
    Bug(
        "a download has no cap",
        "rtms_relay/adapters/recall_http.py",
        "                    if size > self._max_download:\n",
        "                    if size < 0:\n",
        f"{HOSTILE}::test_a_download_has_a_size_cap_declared_or_not",
    ),
    Bug(
        "a drip keeps a download going",
        "rtms_relay/adapters/recall_http.py",
        "            if received >= STALL_BYTES:\n",
        "            if received:\n",
        f"{HOSTILE}::test_a_download_that_drips_or_stops_has_stalled",
    ),
    Bug(
        "an id leaves its place in the path",
        "rtms_relay/adapters/recall_http.py",
        'return "%2E" * len(name) if set(name) == {"."} else quote(name, safe="")',
        "return quote(name)",
        f"{HOSTILE}::test_an_id_stays_one_part_of_the_path",
    ),
    Bug(
        "an answer without end fills the memory",
        "rtms_relay/adapters/recall_http.py",
        "                        if len(body) > MAX_BODY:\n                            break\n",
        "                        if len(body) > 100 * MAX_BODY:\n                            break\n",
        f"{HOSTILE}::test_a_body_without_end_is_cut_off_at_ten_megabytes",
    ),
    Bug(
        "a date in Retry-After is read without its zone",
        "rtms_relay/adapters/recall_http.py",
        "        except (ValueError, TypeError, OverflowError):\n",
        "        except TypeError:\n",
        f"{UNIT}/adapters/test_recall_http.py::test_retry_after",
    ),
    # settings
    Bug(
        "a whole request passes for a recording config",
        "rtms_relay/setting_values.py",
        "        if key in config:\n",
        "        if key == config:\n",
        f"{UNIT}/test_setting_values.py::test_what_is_not_sound_is_refused_in_one_line_that_shows_no_secret",
    ),
    Bug(
        "a masked secret is taken",
        "rtms_relay/setting_values.py",
        "    if _MASKED.fullmatch(value):\n",
        "    if not value:\n",
        f"{UNIT}/test_setting_values.py::test_the_reason_names_the_mistake",
    ),
    Bug(
        "a refused secret is shown",
        "rtms_relay/settings.py",
        "if variable.secret else _shown(value)",
        "if not variable else _shown(value)",
        f"{UNIT}/test_setting_values.py::test_what_is_not_sound_is_refused_in_one_line_that_shows_no_secret",
    ),
    # callers and identity
    Bug(
        "the queue of events may sweep",
        "rtms_relay/callers.py",
        "        if path not in own:\n",
        "        if not own:\n",
        f"{UNIT}/test_callers.py::test_the_whole_table_of_callers_and_paths",
    ),
    Bug(
        "an e-mail that is not verified counts",
        "rtms_relay/callers.py",
        'or claims.get("email_verified") is not True:',
        'or claims.get("email_verified") is None:',
        f"{UNIT}/test_callers.py::test_what_is_not_clear_is_everybody_else",
    ),
    Bug(
        "another audience counts",
        "rtms_relay/callers.py",
        "if not isinstance(audience, str) or audience not in audiences:",
        "if not isinstance(audience, str) or not audiences:",
        f"{UNIT}/test_callers.py::test_what_is_not_clear_is_everybody_else",
    ),
    Bug(
        "an expired token counts",
        "rtms_relay/callers.py",
        "or not now_ms < expires * 1000:",
        "or not expires:",
        f"{UNIT}/test_callers.py::test_what_is_not_clear_is_everybody_else",
    ),
    Bug(
        "of two tokens the first counts",
        "rtms_relay/callers.py",
        "    if any(len(values) > 1 for values in named.values()):\n        return None\n    [value] = named[PREFERRED] or",
        "    [value, *_] = named[PREFERRED] or",
        f"{UNIT}/test_callers.py::test_what_is_not_clear_is_everybody_else",
    ),
    Bug(
        "outside Cloud Run a signature is not checked",
        "rtms_relay/adapters/identity.py",
        "            claims = jwt.decode(token, certs=certificates, audience=None)\n",
        "            claims = jwt.decode(token, certs=certificates, audience=None, verify=False)\n",
        f"{UNIT}/adapters/test_identity.py::test_a_forged_signature_lets_nobody_in",
    ),
    Bug(
        "anybody's token is Google's",
        "rtms_relay/adapters/identity.py",
        '        if claims.get("iss") not in ISSUERS:\n',
        '        if "iss" not in claims:\n',
        f"{UNIT}/adapters/test_identity.py::test_a_token_with_a_flaw_lets_nobody_in",
    ),
    Bug(
        "a secret of the run opens the worker on Cloud Run",
        "rtms_relay/adapters/identity.py",
        '    if environ.get("K_SERVICE"):\n',
        '    if environ.get("K_SERVICE") and not run_secret:\n',
        f"{UNIT}/adapters/test_identity.py::test_which_gate_stands_where",
    ),
    # logs
    Bug(
        "the deployed log redacts nothing",
        "main.py",
        "logs.JsonLog(known.secrets()",
        "logs.JsonLog(()",
        f"{PROCESS}::test_a_real_process_that_is_sent_every_secret_in_every_place_writes_none",
    ),
    Bug(
        "a secret that was cut shows its beginning",
        "rtms_relay/logs.py",
        "    if len(text) >= _CUT:\n",
        "    if not text:\n",
        f"{UNIT}/test_logs.py::test_a_text_that_was_cut_within_a_secret_does_not_show_its_beginning",
    ),
    Bug(
        "the wrapper of functions-framework writes the lines",
        "rtms_relay/logs.py",
        "stream = _plain(self._stream or sys.stdout)",
        "stream = self._stream or sys.stdout",
        f"{UNIT}/test_logs.py::test_the_span_id_survives_the_wrapper_of_functions_framework",
    ),
    Bug(
        "warnings go to standard error as they are",
        "rtms_relay/logs.py",
        "    logging.captureWarnings(True)\n",
        "",
        f"{UNIT}/test_logs.py::test_what_libraries_log_warn_of_or_fail_with_comes_out_redacted_once_and_nowhere_else",
    ),
    Bug(
        "the ids of an event that cannot be used are shown as they are",
        "rtms_relay/logs.py",
        '    values = [*of_fields, *(line["ids"].values() if isinstance(line.get("ids"), Mapping) else ())]\n',
        "    values = of_fields\n",
        f"{UNIT}/test_logs.py::test_ids_are_hashed_wherever_they_stand_in_a_line",
    ),
    # archives
    Bug(
        "an archived object is not synced",
        "rtms_relay/adapters/archive_files.py",
        "    os.fsync(file.fileno())\n",
        "",
        f"{UNIT}/adapters/test_archive_files.py::test_what_is_acknowledged_is_on_disk_with_all_the_directories_that_lead_to_it",
    ),
    Bug(
        "a deletion is not synced",
        "rtms_relay/adapters/archive_files.py",
        "    shutil.rmtree(directory)\n    sync_directory(directory.parent)\n",
        "    shutil.rmtree(directory)\n",
        f"{UNIT}/adapters/test_archive_files.py::test_a_deletion_that_is_acknowledged_is_on_disk",
    ),
    Bug(
        "old versions stay in the bucket",
        "rtms_relay/adapters/archive_gcs.py",
        "versions=True, ",
        "",
        f"{UNIT}/adapters/test_archive_gcs.py::test_a_deletion_leaves_no_old_version_and_touches_no_name_that_only_begins_alike",
    ),
    # handoff/record.py
    Bug(
        "a revocation forgets what only word of a POST tells of",
        "rtms_relay/handoff/record.py",
        "not attempt.tries and not attempt.perhaps_posted and",
        "not attempt.tries and not attempt.posted and",
        f"{UNIT}/handoff/test_record.py::test_word_of_a_post_that_no_record_saw_is_reason_to_look_before_forgetting",
    ),
    # routes/http.py
    Bug(
        "a body without end is read",
        "rtms_relay/routes/http.py",
        "        body += chunk\n        if len(body) > MAX_BODY:\n",
        "        body += chunk\n        if len(body) < 0:\n",
        f"{ROUTES}::test_bad_input_has_its_answer_and_changes_nothing",
    ),
    Bug(
        "a caller learns the setting to look at",
        "rtms_relay/routes/http.py",
        'as_json({"error": error.code, "reason": " ".join(str(error).split())}',
        'as_json({"error": error.code, "reason": " ".join(f"{error} {getattr(error, \'hint\', \'\')}".split())}',
        f"{ROUTES}::test_a_caller_that_is_refused_is_told_nothing_of_our_settings_and_the_log_is_told_what_to_look_at",
    ),
)
