"""A program with a hard-coded Recall host, as people write them: create, wait, walk every page, download. It knows of no proxy.

Usage: python program.py httpx|requests
"""

import json
import os
import sys
import time

API = "https://us-east-1.recall.ai/api/v1"
KEY = {"authorization": f"Token {os.environ['RECALL_API_KEY']}"}

if sys.argv[1] == "httpx":
    import httpx as client
else:
    import requests as client

created = client.post(f"{API}/meeting_direct_connect", json=json.loads(os.environ["CREATE_BODY"]), headers=KEY)
mdc = created.json()
shown = mdc
for _ in range(50):
    shown = client.get(f"{API}/meeting_direct_connect/{mdc['id']}", headers=KEY).json()
    if shown["recordings"] and shown["recordings"][0]["status"]["code"] == "done":
        break
    time.sleep(0.1)
ids = []
page = f"{API}/recording/"
while page:
    assert page.startswith(API), page
    answer = client.get(page, headers=KEY).json()
    ids += [recording["id"] for recording in answer["results"]]
    page = answer["next"]
link = shown["recordings"][0]["media_shortcuts"]["video_mixed"]["data"]["download_url"]
video = client.get(link).text
print(json.dumps({"created": created.status_code, "mdc": mdc["id"], "recordings": ids, "link": link, "video": video}))
