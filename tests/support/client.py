"""A client of the interface over HTTP, written from its OpenAPI document alone.

Usage: client.py BASE_URL KEY

It knows names of operations, and learns from the served document where they are, what they take and what they answer:
submits a request, follows it, pauses and resumes it, listens in on a live call, hangs it up, and hears of it all.
"""

import json
import re
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

PATIENCE = 90.0


class Interface:
    def __init__(self, base, key):
        self.base, self.key = base, key
        with urllib.request.urlopen(base + "/v1/openapi.json") as answer:
            document = json.load(answer)
        self.operations = {
            operation["operationId"]: (method.upper(), path, operation)
            for path, item in document["paths"].items()
            for method, operation in item.items()
        }

    def open(self, name, parameters, body, timeout):
        method, path, operation = self.operations[name]
        query, headers = {}, {"x-credential-api-key": self.key}
        known = {parameter["name"]: parameter["in"] for parameter in operation.get("parameters", [])}
        for parameter, value in parameters.items():
            place = known[parameter]
            if place == "path":
                path = path.replace("{%s}" % parameter, urllib.parse.quote(str(value), safe=""))
            elif place == "query":
                query[parameter] = value
            else:
                headers[parameter] = value
        assert not re.search(r"[{}]", path), path
        url = self.base + path + ("?" + urllib.parse.urlencode(query) if query else "")
        data = None
        if body is not None:
            assert "requestBody" in operation, name
            data, headers["content-type"] = json.dumps(body).encode(), "application/json"
        asked = urllib.request.Request(url, data=data, headers=headers, method=method)
        try:
            answer = urllib.request.urlopen(asked, timeout=timeout)
        except urllib.error.HTTPError as refused:
            answer = refused
        assert str(answer.status) in operation["responses"], f"{name}: {answer.status} is not in the document"
        return answer

    def ask(self, name, body=None, **parameters):
        with self.open(name, parameters, body, 30) as answer:
            return answer.status, json.load(answer)

    def done(self, name, body=None, **parameters):
        """The answer to something that must be done; asked again as long as a call is changing hands."""
        until = time.monotonic() + PATIENCE
        while True:
            status, answer = self.ask(name, body, **parameters)
            if status not in (503, 504) or time.monotonic() > until:
                assert 200 <= status < 300, f"{name}: {status} {answer}"
                return answer
            time.sleep(0.2)

    def until(self, wanted, name, **parameters):
        until = time.monotonic() + PATIENCE
        while True:
            status, answer = self.ask(name, **parameters)
            if status == 200 and wanted(answer):
                return answer
            assert time.monotonic() < until, f"{name}: {status} {json.dumps(answer)}"
            time.sleep(0.05)


def hear(interface, heard, ready):
    """Everything that is told of the request, into a list; hung up on and gone on with once on the way."""
    seen = {}
    for last in (3, None):
        with interface.open("streamEvents", {"requestId": "from-another-language", **seen}, None, PATIENCE) as told:
            assert told.status == 200, told.status
            for line in told:
                # Whoever has been greeted hears everything from then on.
                ready.set()
                if line.startswith(b"id: "):
                    seen = {"Last-Event-ID": line[4:].strip().decode()}
                if line.startswith(b"data: "):
                    heard.append(json.loads(line[6:]))
                    if heard[-1]["type"] == "robocall.request.completed" or len(heard) == last:
                        break


def main(base, key):
    interface = Interface(base, key)
    # Somebody who answers and stays on the line, for each of a few slots.
    phones = [f"+99910{number:05}" for number in range(8)]
    request = {
        "requestId": "from-another-language",
        "destinations": [{"phone": phone} for phone in phones],
        "callFlow": {"steps": [{
            "name": "gather", "timeoutSecs": 60, "maxRetries": 10, "message": {"msg": "Press one."},
            "branches": [{"digit": "1", "callFlow": {"steps": [{"name": "hangup"}]}}],
        }]},
    }
    interface.done("changeOrganisation", {"limit": 2})
    heard, ready = [], threading.Event()
    listening = threading.Thread(target=hear, args=(interface, heard, ready), daemon=True)
    listening.start()
    assert ready.wait(PATIENCE), "nobody tells of events"
    submitted = interface.done("submitRequest", request)
    assert submitted["status"] == "submitted" and submitted["total"] == len(phones), submitted
    name = {"requestId": submitted["requestId"]}
    interface.until(lambda status: status["counts"]["onProgress"] == 2, "getStatus", **name)
    interface.done("pauseRequest", **name, **{"Idempotency-Key": "pause-1"})
    assert interface.done("getStatus", **name)["status"] == "paused"
    active = lambda calls: len(calls) == 2 and all(call["callState"] == "ACTIVE" for call in calls)
    calls = interface.until(active, "listActiveCalls", product="OUTBOUND", productId=name["requestId"])
    call = {"callId": calls[0]["uii"]}

    # Somebody listens in, and leaves.
    session = interface.done("superviseCall", {"destination": "Ext:1000", "sessionType": "MONITOR"}, **call)["sessionId"]
    statuses = lambda call: [somebody["status"] for somebody in call["participants"]]
    interface.until(lambda call: statuses(call) == ["connected"], "getCall", **call)
    interface.done("endSession", **call, session=session)
    interface.until(lambda call: statuses(call) == ["ended"], "getCall", **call)

    # Somebody else takes over.
    interface.done("transferCall", {"to": {"type": "internal", "number": "2000"}}, **call)
    interface.until(lambda call: [to["status"] for to in call["transfers"]] == ["answered"], "getCall", **call)

    # While it is paused, nobody comes after those who are hung up.
    for live in calls:
        interface.done("hangUpCall", callId=live["uii"])
    ended = interface.until(lambda status: status["counts"]["completed"] == 2, "getStatus", **name)
    assert ended["counts"]["queued"] == len(phones) - 2 and ended["counts"]["onProgress"] == 0, ended
    # The same pause again, after it was resumed, is the one that was given before.
    interface.done("resumeRequest", **name)
    interface.done("pauseRequest", **name, **{"Idempotency-Key": "pause-1"})
    interface.until(lambda status: status["counts"]["onProgress"] == 2, "getStatus", **name)

    # The rest is hung up as it comes.
    while True:
        status = interface.done("getStatus", **name)
        if status["status"] == "completed":
            break
        for entry in status["details"]:
            if entry["status"] == "onProgress" and entry["answeredAt"]:
                interface.ask("hangUpCall", callId=entry["callId"])
        time.sleep(0.1)
    assert status["counts"]["completed"] == len(phones), status
    assert [entry["destination"] for entry in status["details"]] == phones, status

    listening.join(PATIENCE)
    # What is told twice has the same id.
    told = {event["id"]: event for event in heard}.values()
    kinds = [event["type"].removeprefix("robocall.") for event in told]
    for kind in ("request.accepted", "request.paused", "request.resumed", "leg.added", "leg.removed", "command.executed"):
        assert kind in kinds, f"{kind}: {kinds}"
    assert kinds.count("call.ended") == len(phones), kinds
    assert kinds.count("request.paused") == 1, kinds
    status, refused = interface.ask("getStatus", requestId="nothing")
    assert status == 404 and refused["status"] == "notFound", refused


if __name__ == "__main__":
    main(*sys.argv[1:])
