/*
 * load.h - matrix-events load: a load of one file, and its batches
 */
#ifndef LOAD_H
#define LOAD_H

#include "client.h"

typedef struct Line
{
	size_t		start;			/* in the batch's text */
	size_t		length;
	int64_t		number;
	const char *fault;			/* why PostgreSQL cannot hold it, or NULL */
	bool		reported;
} Line;

typedef struct Place
{
	int64_t		bytes;
	int64_t		lines;
} Place;

typedef struct Batch
{
	char	   *text;
	size_t		used;
	size_t		room;
	Line	   *lines;
	int			count;
	Place		from;
	Place		to;
} Batch;

/* What has been said about lines, until the transaction is committed. */
typedef struct Report
{
	FILE	   *out;			/* writes the next two */
	char	   *text;
	size_t		length;
	int64_t		taken;
	int64_t		refused;		/* in rejected, or faulty */
	int64_t		faulty;
} Report;

typedef struct Load
{
	const Options *options;
	Server		server;
	Lines	   *lines;
	char	   *source;			/* the key in loads */
	bool		forget;			/* nobody can resume it: the row goes at the end */
	Batch		batch;
	Report		report;
	bool		in_doubt;		/* COMMIT was sent, and no answer came: report is of that try */
	bool		trouble;		/* said already: no more of this */
	bool		stopped;		/* by an event, with --strict */
	int64_t		started;		/* ms */
	int64_t		shown;
	int64_t		first_byte;
	int64_t		done;			/* lines that are not blank */
	int64_t		taken;
	int64_t		refused;
	int64_t		faulty;
} Load;

/* ---- batch.c ---- */

/* Where the source is loaded up to; the row of loads is made where it is missing. */
extern Outcome find_place(Load *load, Place *place);
extern Outcome forget_place(Load *load);
/* Add the line that was just read. */
extern void gather(Batch *batch, const Lines *lines);
/*
 * Bring the batch, which ends where the lines are read up to, into the store,
 * and say what was refused.  False, after a word about it: it is not there.
 */
extern bool send_batch(Load *load);

#endif
