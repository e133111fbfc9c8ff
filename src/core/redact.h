/*
 * redact.h - what is left of an event when it is redacted
 *
 * Sources: room versions 1, 6, 8, 9, 11 and 12, Redactions; client-server API,
 * m.room.redaction.
 */
#ifndef MX_REDACT_H
#define MX_REDACT_H

#include "core/room_version.h"
#include "core/violation.h"

/*
 * The redacted form of an event, which must be an object: a new tree in the
 * arena that shares what is kept.  content is always there, and an object.
 * Redacting again changes nothing.  version NULL: not known; version 1's rules.
 */
extern const mx_value *mx_redact(mx_arena *arena, const mx_value *event, const mx_room_version *version);

/*
 * The event id that an m.room.redaction names; text NULL: none, or the event is
 * no redaction.  version NULL: not known; the top level goes before the content.
 */
extern mx_string mx_redacts(const mx_value *event, const mx_room_version *version);

/*
 * What an event must be so that it can be redacted: an object whose type is a
 * string and whose content, if there is one, is an object.
 */
extern void mx_redact_check(const mx_value *event, mx_violations *violations);

#endif
