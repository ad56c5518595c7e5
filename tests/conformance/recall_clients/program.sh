#!/bin/sh
# A program with a hard-coded Recall host, in curl. It knows of no proxy. Prints the status of the create and the first page.
set -eu
api=https://us-east-1.recall.ai/api/v1
key="Authorization: Token $RECALL_API_KEY"
curl -sS --fail -o /dev/null -w '%{http_code}\n' -H "$key" -H 'Content-Type: application/json' -d "$CREATE_BODY" "$api/meeting_direct_connect"
sleep 1
curl -sS --fail -H "$key" "$api/recording/"
