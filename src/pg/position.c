/*
 * position.c - how far the stream can be read without missing what commits later
 *
 * A row's mark is the transaction id that came next when its position was given.
 * Whoever drew a lower position had its transaction id before, so it is below the
 * mark.  A row is settled when every transaction below its mark has ended: then no
 * lower position can still appear.
 *
 * A mark that this cluster has not reached yet was made before a crash or in
 * another cluster.  None of the transactions below it is still open, but those
 * that were prepared.
 */
#include "derive.h"

#include "access/nbtree.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "access/xlog.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"

typedef struct Stream
{
	IndexScanDesc scan;
	TupleTableSlot *slot;
	uint64		oldest;			/* of the transactions that run */
	uint64		next;
	int64		floor;			/* all up to it is settled; -1: not asked yet */
	int			prepared;		/* transactions of this database; -1: not asked yet */
	bool		foreign;		/* a mark was not of this cluster's count */
} Stream;

/* A transaction id of the last 2^31 with its epoch. */
static uint64
full_id(TransactionId id, FullTransactionId next)
{
	uint32		epoch = EpochFromFullTransactionId(next);

	if (id > XidFromFullTransactionId(next))
		epoch--;
	return ((uint64) epoch << 32) | id;
}

/* One number that the store's owner may read. */
static int64
ask(Store *store, const char *query)
{
	AsOwner		before;
	int			guc = enter_store(store, &before);
	int64		answer = 0;

	if (SPI_execute(query, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not run: %s", query);
	if (SPI_processed == 1)
		answer = row_int(0, 1, 0);
	leave_store(guc, before);
	return answer;
}

static bool
is_settled(Stream *stream, Store *store, int64 stream_id)
{
	bool		isnull;
	uint64		mark = DatumGetUInt64(slot_getattr(stream->slot, COLUMN_MARK + 1, &isnull));

	if (mark <= stream->oldest)
		return true;
	if (stream->floor < 0)
		stream->floor = ask(store, psprintf("SELECT f.floor FROM %s.stream_floor f WHERE f.system_identifier = " INT64_FORMAT,
											store->schema, (int64) GetSystemIdentifier()));
	if (stream_id <= stream->floor)
		return true;
	/* A standby's count lags behind. */
	if (mark <= stream->next || RecoveryInProgress())
		return false;
	if (stream->prepared < 0)
		stream->prepared = (int) ask(store, "SELECT count(*) FROM pg_catalog.pg_prepared_xacts p "
									 "WHERE p.database = pg_catalog.current_database()");
	if (stream->prepared > 0)
		return false;
	stream->foreign = true;
	return true;
}

/* The last visible row at or below a position, in the slot; 0: none. */
static int64
last_at(Stream *stream, int64 position)
{
	ScanKeyData keys[2];
	bool		isnull;

	ScanKeyInit(&keys[0], 1, BTGreaterStrategyNumber, F_INT8GT, Int64GetDatum(0));
	ScanKeyInit(&keys[1], 1, BTLessEqualStrategyNumber, F_INT8LE, Int64GetDatum(position));
	index_rescan(stream->scan, keys, 2, NULL, 0);
	if (!index_getnext_slot(stream->scan, BackwardScanDirection, stream->slot))
		return 0;
	return DatumGetInt64(slot_getattr(stream->slot, COLUMN_STREAM_ID + 1, &isnull));
}

/*
 * A reader may keep what it gets, so it must not get what a crash can take back:
 * a commit that was not waited for (synchronous_commit = off).  When this row is
 * safe, so is the sequence at its position.
 */
static void
make_durable(TransactionId writer)
{
	XLogRecPtr	commit;

	if (RecoveryInProgress() || !TransactionIdIsNormal(writer))
		return;
	commit = TransactionIdGetCommitLSN(writer);
	if (!XLogRecPtrIsInvalid(commit) && XLogNeedsFlush(commit))
		XLogFlush(commit);
}

static TransactionId
writer_of(TupleTableSlot *slot)
{
	bool		isnull;

	return DatumGetTransactionId(slot_getsysattr(slot, MinTransactionIdAttributeNumber, &isnull));
}

/*
 * The greatest settled position: looked for from the end backwards, in growing
 * steps and then between the last two, for a writer that stays open can hold back
 * many rows.
 */
static int64
find_position(Stream *stream, Store *store)
{
	int64		unsettled = last_at(stream, PG_INT64_MAX);
	int64		settled = 0;	/* a settled row */
	int64		empty = 0;		/* no row between it and here */
	TransactionId writer = InvalidTransactionId;

	for (int64 step = 0; unsettled > 0 && settled == 0; step = step * 2 + 1)
	{
		int64		found = step == 0 ? unsettled : last_at(stream, unsettled - Min(step, unsettled));

		if (found == 0)
			break;
		if (is_settled(stream, store, found))
		{
			settled = empty = found;
			writer = writer_of(stream->slot);
		}
		else
			unsettled = found;
	}
	while (settled < unsettled && unsettled - empty > 1)
	{
		int64		middle = empty + (unsettled - empty) / 2;
		int64		found = last_at(stream, middle);

		if (found <= settled)
			empty = middle;
		else if (is_settled(stream, store, found))
		{
			settled = found;
			empty = middle;
			writer = writer_of(stream->slot);
		}
		else
			unsettled = found;
	}
	make_durable(writer);
	return settled;
}

/* What marks of another count tell now, a standby cannot tell: it is kept. */
static void
keep_floor(Store *store, int64 position)
{
	char	   *query = psprintf("INSERT INTO %s.stream_floor AS f (system_identifier, floor) VALUES (" INT64_FORMAT ", " INT64_FORMAT ") "
								 "ON CONFLICT (only_row) DO UPDATE SET system_identifier = excluded.system_identifier, floor = excluded.floor",
								 store->schema, (int64) GetSystemIdentifier(), position);
	AsOwner		before;
	int			guc = enter_store(store, &before);

	if (SPI_execute(query, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not write %s.stream_floor", store->schema);
	leave_store(guc, before);
}

/*
 * matrix.stream_position(events regclass, writes boolean) returns bigint: the
 * greatest settled position, 0 when there is none; writes: what was found out about
 * rows of another cluster may be kept.  Raises 42501 without SELECT on the table.
 */
PG_FUNCTION_INFO_V1(stream_position);
Datum
stream_position(PG_FUNCTION_ARGS)
{
	Relation	events = table_open(PG_GETARG_OID(0), AccessShareLock);
	Store	   *store = get_store(events);
	Relation	index = open_index(store->position_index, AccessShareLock);
	Snapshot	snapshot = GetActiveSnapshot();
	FullTransactionId next = ReadNextFullTransactionId();
	Stream		stream = {.floor = -1, .prepared = -1};
	int64		position;

	if (pg_class_aclcheck(RelationGetRelid(events), GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, RelationGetRelationName(events));
	stream.oldest = full_id(snapshot->xmin, next);
	stream.next = U64FromFullTransactionId(next);
	stream.slot = table_slot_create(events, NULL);
	stream.scan = begin_index_scan(events, index, snapshot, 2);
	position = find_position(&stream, store);
	index_endscan(stream.scan);
	ExecDropSingleTupleTableSlot(stream.slot);
	index_close(index, AccessShareLock);
	if (stream.foreign && PG_GETARG_BOOL(1))
		keep_floor(store, position);
	table_close(events, AccessShareLock);
	PG_RETURN_INT64(position);
}
