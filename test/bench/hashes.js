// hashes.js WORK FILE: as hashes.py.
const crypto = require('crypto'), fs = require('fs');

const top = new Set(['event_id', 'type', 'room_id', 'sender', 'state_key', 'content', 'hashes', 'signatures', 'depth', 'prev_events', 'auth_events', 'origin_server_ts']);
const ofContent = {
	'm.room.member': ['membership', 'join_authorised_via_users_server'],
	'm.room.join_rules': ['join_rule', 'allow'],
	'm.room.power_levels': ['ban', 'events', 'events_default', 'invite', 'kick', 'redact', 'state_default', 'users', 'users_default'],
	'm.room.history_visibility': ['history_visibility'],
	'm.room.redaction': ['redacts'],
};

// The keys of these events are ASCII: no order but by code units is needed.
function canonical(value) {
	if (value === null || typeof value !== 'object') return JSON.stringify(value);
	if (Array.isArray(value)) return '[' + value.map(canonical).join(',') + ']';
	return '{' + Object.keys(value).sort().map(key => JSON.stringify(key) + ':' + canonical(value[key])).join(',') + '}';
}

function picked(object, keys) {
	const kept = {};
	for (const key of keys) if (key in object) kept[key] = object[key];
	return kept;
}

function redacted(event) {
	const kept = {};
	for (const key in event) if (top.has(key)) kept[key] = event[key];
	if (event.type !== 'm.room.create') kept.content = picked(event.content, ofContent[event.type] || []);
	const invite = event.content.third_party_invite;
	if (event.type === 'm.room.member' && invite && 'signed' in invite) kept.content.third_party_invite = {signed: invite.signed};
	return kept;
}

const sha256 = (text, encoding) => crypto.createHash('sha256').update(text).digest(encoding);
const works = {
	content_hash(event) {
		const {unsigned, signatures, hashes, event_id, ...hashed} = event;
		return sha256(canonical(hashed), 'base64').replace(/=+$/, '');
	},
	event_id(event) {
		const {event_id, signatures, ...hashed} = redacted(event);
		return '$' + sha256(canonical(hashed), 'base64url');
	},
	redact: event => canonical(redacted(event)),
};

const work = works[process.argv[2]];
const lines = fs.readFileSync(process.argv[3], 'utf8').trimEnd().split('\n');
const start = process.hrtime.bigint();
const answers = lines.map(line => work(JSON.parse(line)));
const seconds = Number(process.hrtime.bigint() - start) / 1e9;
console.log(seconds, sha256(answers.join('\n'), 'hex'));
