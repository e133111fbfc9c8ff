# hashes.py WORK FILE: content_hash, event_id or redact (as canonical JSON) of each
# line, room version 11; prints the seconds and a hash of all answers.
import base64, hashlib, json, sys, time

TOP = {"event_id", "type", "room_id", "sender", "state_key", "content", "hashes", "signatures", "depth", "prev_events", "auth_events", "origin_server_ts"}
CONTENT = {
    "m.room.member": ("membership", "join_authorised_via_users_server"),
    "m.room.join_rules": ("join_rule", "allow"),
    "m.room.power_levels": ("ban", "events", "events_default", "invite", "kick", "redact", "state_default", "users", "users_default"),
    "m.room.history_visibility": ("history_visibility",),
    "m.room.redaction": ("redacts",),
}

def canonical(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()

def redacted(event):
    kept = {key: value for key, value in event.items() if key in TOP}
    content = event["content"]
    if event["type"] == "m.room.member":
        kept["content"] = {key: content[key] for key in CONTENT["m.room.member"] if key in content}
        if "signed" in content.get("third_party_invite", {}):
            kept["content"]["third_party_invite"] = {"signed": content["third_party_invite"]["signed"]}
    elif event["type"] != "m.room.create":
        kept["content"] = {key: content[key] for key in CONTENT.get(event["type"], ()) if key in content}
    return kept

def content_hash(event):
    hashed = {key: value for key, value in event.items() if key not in ("unsigned", "signatures", "hashes", "event_id")}
    return base64.b64encode(hashlib.sha256(canonical(hashed)).digest()).decode().rstrip("=")

def event_id(event):
    hashed = redacted(event)
    for key in ("event_id", "signatures"):
        hashed.pop(key, None)
    return "$" + base64.urlsafe_b64encode(hashlib.sha256(canonical(hashed)).digest()).decode().rstrip("=")

def redact(event):
    return canonical(redacted(event)).decode()

work = {"content_hash": content_hash, "event_id": event_id, "redact": redact}[sys.argv[1]]
lines = open(sys.argv[2], encoding="utf-8").read().splitlines()
start = time.perf_counter()
answers = [work(json.loads(line)) for line in lines]
seconds = time.perf_counter() - start
print(seconds, hashlib.sha256("\n".join(answers).encode()).hexdigest())
