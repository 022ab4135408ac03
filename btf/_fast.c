// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The loops of btf that go over every type of a kernel.
 *
 * Each function here has a twin in Python that says the same, and an input that
 * is not as compilers make it is the twin's: functions answer None then, and
 * raise nothing of their own. So there are no messages here, and everything
 * that a Table was made of is known to be in range.
 */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030b0000
#include <Python.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum kind {
	UNKN, INT, PTR, ARRAY, STRUCT, UNION, ENUM, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT,
	FUNC, FUNC_PROTO, VAR, DATASEC, FLOAT, DECL_TAG, TYPE_TAG, ENUM64, KINDS,
};

enum {
	MAX_DEPTH = 200, /* of calls; a kernel needs 60 */
	PATIENCE = 64,   /* how often a type is looked at, on average; in a kernel that is 2 */
	ENOUGH = 1 << 16, /* bytes of a piece of text */
};

#define BIT(kind) (UINT32_C(1) << (kind))
#define MODIFIERS (BIT(VOLATILE) | BIT(CONST) | BIT(RESTRICT) | BIT(TYPE_TAG))
#define RECORDS (BIT(STRUCT) | BIT(UNION))
#define ENUMS (BIT(ENUM) | BIT(ENUM64))
#define is(kind, set) (BIT(kind) & (set))

/* Words of a type without members, and of each member. */
static const struct { uint8_t fixed, each; } WORDS[KINDS] = {
	[UNKN] = {3, 0},       [INT] = {4, 0},       [PTR] = {3, 0},       [ARRAY] = {6, 0},
	[STRUCT] = {3, 3},     [UNION] = {3, 3},     [ENUM] = {3, 2},      [FWD] = {3, 0},
	[TYPEDEF] = {3, 0},    [VOLATILE] = {3, 0},  [CONST] = {3, 0},     [RESTRICT] = {3, 0},
	[FUNC] = {3, 0},       [FUNC_PROTO] = {3, 2}, [VAR] = {4, 0},      [DATASEC] = {3, 3},
	[FLOAT] = {3, 0},      [DECL_TAG] = {4, 0},  [TYPE_TAG] = {3, 0},  [ENUM64] = {3, 3},
};

static uint32_t kind_of(const uint32_t *type) { return type[1] >> 24 & 0x7f; }
static uint32_t vlen(const uint32_t *type) { return type[1] & 0xffffff; }
static bool flag(const uint32_t *type) { return type[1] >> 31; }
static uint64_t length(const uint32_t *type)
{
	return WORDS[kind_of(type)].fixed + (uint64_t)WORDS[kind_of(type)].each * vlen(type);
}

/* The words, starts and strings of a btf._table.Table, all checked. */
typedef struct {
	PyObject_HEAD
	PyObject *owners[3]; /* bytes, which nobody can change */
	const uint32_t *words, *starts;
	const char *strings;
	size_t n_words, n_types, n_strings;
} Table;

static const uint32_t *type_at(const Table *t, uint32_t id) { return t->words + t->starts[id]; }
static const char *name_of(const Table *t, uint32_t id) { return t->strings + type_at(t, id)[0]; }

/* Where a type has the ids of others: `first` is the first word, then `count` of them, `step` apart. */
struct ids { uint32_t first, step, count; };

static struct ids members_of(const uint32_t *type)
{
	switch (kind_of(type)) {
	case STRUCT: case UNION: return (struct ids){4, 3, vlen(type)};
	case FUNC_PROTO: return (struct ids){4, 2, vlen(type)};
	case DATASEC: return (struct ids){3, 3, vlen(type)};
	case ARRAY: return (struct ids){3, 1, 2};
	default: return (struct ids){0, 0, 0};
	}
}

static const uint32_t REFERRING = MODIFIERS | BIT(PTR) | BIT(TYPEDEF) | BIT(FUNC) | BIT(FUNC_PROTO) | BIT(VAR) |
				  BIT(DECL_TAG);

static bool is_sound_type(const Table *t, uint32_t id)
{
	size_t start = t->starts[id];
	if (t->n_words < 3 || start > t->n_words - 3)
		return false;
	const uint32_t *type = t->words + start;
	uint32_t kind = kind_of(type);
	if (kind >= KINDS || (kind == UNKN) != (id == 0) || length(type) > t->n_words - start)
		return false;
	if (type[0] >= t->n_strings || (is(kind, REFERRING) && type[2] >= t->n_types))
		return false;
	struct ids ids = members_of(type);
	for (uint32_t i = 0; i < ids.count; i++) {
		if (type[ids.first + i * ids.step] >= t->n_types)
			return false;
	}
	if (is(kind, RECORDS | ENUMS | BIT(FUNC_PROTO))) {
		for (uint32_t i = 0; i < vlen(type); i++) {
			if (type[3 + i * WORDS[kind].each] >= t->n_strings)
				return false;
		}
	}
	return true;
}

static bool is_sound(const Table *t)
{
	/* names are ASCII, so that text has one byte per character whatever becomes of it */
	for (size_t i = 0; i < t->n_strings; i++) {
		if ((unsigned char)t->strings[i] > 0x7f)
			return false;
	}
	if (!t->n_strings || t->strings[t->n_strings - 1] || !t->n_types || t->n_types > INT32_MAX)
		return false;
	for (uint32_t id = 0; id < t->n_types; id++) {
		if (!is_sound_type(t, id))
			return false;
	}
	return true;
}

/* A growing array of bytes. */
struct text {
	char *data;
	size_t used, room;
	bool failed;
};

static char *more(struct text *text, size_t size)
{
	if (size > text->room - text->used) {
		size_t room = 2 * text->room + size + 256;
		char *data = text->failed || size > PY_SSIZE_T_MAX / 4 ? NULL : PyMem_Realloc(text->data, room);
		if (!data) {
			text->failed = true;
			return NULL;
		}
		text->data = data;
		text->room = room;
	}
	char *at = text->data + text->used;
	text->used += size;
	return at;
}

static void put(struct text *text, const char *data, size_t size)
{
	char *at = more(text, size);
	if (at)
		memcpy(at, data, size);
}

static void put_string(struct text *text, const char *string) { put(text, string, strlen(string)); }

static void put_number(struct text *text, uint64_t number, bool negative)
{
	char digits[24], *at = digits + sizeof(digits);
	do
		*--at = '0' + number % 10;
	while (number /= 10);
	if (negative)
		*--at = '-';
	put(text, at, digits + sizeof(digits) - at);
}

/* Ends the use of a text; the answer is bytes, None if it was given up, or NULL with an error set. */
static PyObject *taken(struct text *text, bool given_up)
{
	PyObject *result;
	if (text->failed)
		result = PyErr_NoMemory();
	else if (given_up)
		result = Py_NewRef(Py_None);
	else
		result = PyBytes_FromStringAndSize(text->data, text->used);
	PyMem_Free(text->data);
	return result;
}

static void put_id(struct text *text, int32_t id) { put(text, (const char *)&id, sizeof(id)); }

/* ---- walk(words): where each type starts, as btf._section.Sections.walk does ---- */

static PyObject *walk(PyObject *Py_UNUSED(module), PyObject *section)
{
	Py_buffer view;
	if (PyObject_GetBuffer(section, &view, PyBUF_SIMPLE))
		return NULL;
	const uint32_t *words = view.buf;
	size_t end = view.len / sizeof(*words), at = 0;
	bool odd = (uintptr_t)view.buf % sizeof(*words) || view.len / sizeof(*words) > UINT32_MAX;
	struct text starts = {0};
	while (!odd && at < end) {
		odd = end - at < 3 || !kind_of(words + at) || kind_of(words + at) >= KINDS ||
		      length(words + at) > end - at;
		if (!odd) {
			put_id(&starts, (int32_t)at);
			at += length(words + at);
		}
	}
	PyBuffer_Release(&view);
	return taken(&starts, odd);
}

/* ---- Table.queue(): what has to be defined, as btf._c_sort and btf._c_order have it ---- */

enum { FRESH, OPEN, DONE };

struct search {
	const Table *t;
	uint8_t *state;  /* by id */
	bool *constant;  /* by id: enums without a name that are part of no other type */
	struct text queue;
	uint64_t steps;
	bool given_up;
};

static bool too_much(const Table *t, uint64_t *steps, unsigned int depth)
{
	return depth > MAX_DEPTH || ++*steps > PATIENCE * (uint64_t)t->n_words;
}

/* Queues what a type needs, then the type; whether it is defined by now. `behind`: a pointer leads here. */
static bool visit(struct search *s, uint32_t id, bool behind, unsigned int depth)
{
	const uint32_t *type = type_at(s->t, id);
	uint32_t kind = kind_of(type);
	bool defined = true;

	if (s->state[id] == DONE)
		return true;
	s->given_up |= too_much(s->t, &s->steps, depth);
	if (s->given_up)
		return true;
	if (is(kind, RECORDS)) {
		if (type[0] && behind)
			return false;
		s->given_up |= s->state[id] == OPEN; /* it contains itself */
		s->state[id] = OPEN;
		for (uint32_t i = 0; i < vlen(type) && !s->given_up; i++)
			visit(s, type[4 + 3 * i], false, depth + 1);
		if (type[0])
			put_id(&s->queue, id);
	} else if (kind == PTR) {
		defined = visit(s, type[2], true, depth + 1);
	} else if (is(kind, MODIFIERS | BIT(TYPEDEF))) {
		defined = visit(s, type[2], behind, depth + 1);
		if (behind && (kind != TYPEDEF || !defined))
			return defined;
		if (kind == TYPEDEF)
			put_id(&s->queue, id);
		defined |= kind == TYPEDEF;
	} else if (kind == ARRAY) {
		defined = visit(s, type[3], false, depth + 1);
	} else if (kind == FUNC_PROTO) {
		defined = visit(s, type[2], behind, depth + 1);
		for (uint32_t i = 0; i < vlen(type) && !s->given_up; i++)
			defined |= visit(s, type[4 + 2 * i], behind, depth + 1);
		if (behind)
			return defined;
	} else if (kind == FWD || is(kind, ENUMS)) {
		if (kind == FWD || type[0] || s->constant[id])
			put_id(&s->queue, id);
	} else {
		defined = false;
	}
	s->state[id] = DONE;
	return defined;
}

static void find_constants(const Table *t, bool *constant)
{
	for (uint32_t id = 0; id < t->n_types; id++)
		constant[id] = is(kind_of(type_at(t, id)), ENUMS) && !type_at(t, id)[0];
	for (uint32_t id = 0; id < t->n_types; id++) {
		const uint32_t *type = type_at(t, id);
		struct ids ids = members_of(type);
		for (uint32_t i = 0; i < ids.count; i++)
			constant[type[ids.first + i * ids.step]] = false;
		if (is(kind_of(type), REFERRING & ~(BIT(FUNC) | BIT(FUNC_PROTO))))
			constant[type[2]] = false;
	}
}

/* What a type is sorted by. */
struct key {
	uint32_t rank, id;
	uint64_t beginning; /* the first bytes of the end's name, so that most comparisons look no further */
	const char *end, *own;
	uint64_t hash;
};

enum { LAST = 5 };

/* The id at the end of a chain of references, or nothing for a circle. */
static uint32_t end_of(const Table *t, uint32_t id)
{
	for (int i = 0; i < MAX_DEPTH; i++) {
		const uint32_t *type = type_at(t, id);
		if (!is(kind_of(type), MODIFIERS | BIT(PTR) | BIT(TYPEDEF) | BIT(DECL_TAG) | BIT(ARRAY)))
			return id;
		id = type[kind_of(type) == ARRAY ? 3 : 2];
	}
	return UINT32_MAX;
}

static uint32_t rank_of(const Table *t, uint32_t id, uint32_t end)
{
	static const uint8_t RANKS[KINDS] = {
		[ENUM] = 1, [ENUM64] = 1, [INT] = 2, [FLOAT] = 2, [STRUCT] = 3, [UNION] = 3, [FUNC_PROTO] = 4,
	};
	const uint32_t *type = type_at(t, id);
	if (is(kind_of(type), ENUMS))
		return type[0] ? 1 : 0;
	if (is(kind_of(type), RECORDS | BIT(INT) | BIT(FLOAT)))
		return type[0] ? RANKS[kind_of(type)] : LAST;
	if (is(kind_of(type), BIT(TYPEDEF) | BIT(TYPE_TAG) | BIT(DECL_TAG)) && RANKS[kind_of(type_at(t, end))])
		return RANKS[kind_of(type_at(t, end))];
	return LAST;
}

static struct key key_of(const Table *t, uint32_t id, uint32_t end)
{
	const uint32_t *type = type_at(t, id);
	struct key key = {.id = id, .rank = rank_of(t, id, end), .end = name_of(t, end), .own = name_of(t, id)};
	if (!key.rank) {
		key.end = vlen(type) ? t->strings + type[3] : "";
		key.own = "";
	}
	const char *at = key.end;
	for (int i = 0; i < 8; i++)
		key.beginning = key.beginning << 8 | (unsigned char)(*at ? *at++ : 0);
	return key;
}

static int by_names(const struct key *a, const struct key *b)
{
	if (a->rank != b->rank)
		return a->rank < b->rank ? -1 : 1;
	if (a->beginning != b->beginning)
		return a->beginning < b->beginning ? -1 : 1;
	int order = strcmp(a->end, b->end);
	return order ? order : strcmp(a->own, b->own);
}

static int by_all(const void *left, const void *right)
{
	const struct key *a = left, *b = right;
	int order = by_names(a, b);
	if (order)
		return order;
	if (a->hash != b->hash)
		return a->hash < b->hash ? -1 : 1;
	return (a->id > b->id) - (a->id < b->id);
}

static uint64_t with_name(const Table *t, uint64_t hash, uint32_t offset)
{
	uint64_t name = 0;
	for (const char *at = t->strings + offset; *at; at++)
		name = name * 31 + (uint64_t)*at;
	return offset ? hash * 31 + name : hash;
}

/* A hash of the names in a type, as btf._c_hash has it. */
static uint64_t hash_of(struct search *s, uint32_t id, bool members, unsigned int depth)
{
	const uint32_t *type = type_at(s->t, id);
	uint32_t kind = kind_of(type);
	uint64_t hash = with_name(s->t, 0, type[0]);

	s->given_up |= too_much(s->t, &s->steps, depth);
	if (s->given_up)
		return 0;
	if (is(kind, ENUMS | (members ? RECORDS : 0))) {
		for (uint32_t i = 0; i < vlen(type) && !s->given_up; i++) {
			const uint32_t *row = type + 3 + i * WORDS[kind].each;
			hash = with_name(s->t, hash, row[0]);
			if (is(kind, RECORDS))
				hash = hash * 31 + hash_of(s, row[1], false, depth + 1);
		}
	} else if (kind == ARRAY) {
		hash = hash * 31 + type[5];
		hash = hash * 31 + hash_of(s, type[3], members, depth + 1);
	} else if (is(kind, MODIFIERS | BIT(PTR) | BIT(TYPEDEF) | BIT(DECL_TAG))) {
		hash = hash * 31 + hash_of(s, type[2], members, depth + 1);
	}
	return hash;
}

/* Sorts by names, and what has the same names by hash. */
static void sort(struct search *s, struct key *keys, size_t count)
{
	qsort(keys, count, sizeof(*keys), by_all);
	for (size_t from = 0, to; from < count && !s->given_up; from = to) {
		for (to = from + 1; to < count && !by_names(keys + from, keys + to);)
			to++;
		if (to - from < 2)
			continue;
		for (size_t i = from; i < to && !s->given_up; i++)
			keys[i].hash = hash_of(s, keys[i].id, true, 0);
		qsort(keys + from, to - from, sizeof(*keys), by_all);
	}
}

/* Visits all types, in two turns: when the last rank's is due, most of it is done already. */
static void visit_sorted(struct search *s, struct key *keys)
{
	uint32_t first = 0;
	for (int last = 0; last < 2 && !s->given_up; last++) {
		size_t count = 0;
		for (uint32_t id = 1; id < s->t->n_types; id++) {
			if (is(kind_of(type_at(s->t, id)), BIT(FUNC) | BIT(VAR) | BIT(DATASEC)) || s->state[id] == DONE)
				continue;
			uint32_t end = end_of(s->t, id);
			if (end == UINT32_MAX) {
				s->given_up = true;
				return;
			}
			if ((rank_of(s->t, id, end) == LAST) == last)
				keys[count++] = key_of(s->t, id, end);
		}
		sort(s, keys, count);
		if (!last && count)
			first = keys[0].id;
		for (size_t i = 0; i < count && !s->given_up; i++) {
			if (keys[i].id != first)
				visit(s, keys[i].id, false, 0);
		}
	}
}

static PyObject *Table_kinds(Table *t, PyObject *Py_UNUSED(none))
{
	PyObject *kinds = PyBytes_FromStringAndSize(NULL, t->n_types);
	char *data = kinds ? PyBytes_AsString(kinds) : NULL;
	for (uint32_t id = 0; data && id < t->n_types; id++)
		data[id] = (char)kind_of(type_at(t, id));
	return kinds;
}

static PyObject *Table_queue(Table *t, PyObject *sorted)
{
	struct search s = {.t = t, .state = PyMem_Calloc(t->n_types, 1), .constant = PyMem_Calloc(t->n_types, 1)};
	struct key *keys = PyMem_Calloc(t->n_types, sizeof(*keys));
	if (!s.state || !s.constant || !keys) {
		s.queue.failed = true;
	} else {
		s.state[0] = DONE;
		find_constants(t, s.constant);
		if (sorted == Py_True) {
			visit_sorted(&s, keys);
		} else {
			for (uint32_t id = 1; id < t->n_types && !s.given_up; id++)
				visit(&s, id, false, 0);
		}
	}
	PyMem_Free(keys);
	PyMem_Free(s.state);
	PyMem_Free(s.constant);
	return taken(&s.queue, s.given_up);
}

/* ---- Table.steps(queue): what is written, as btf._c_emit.Emitter has it ---- */

struct emitter {
	const Table *t;
	bool *settled, *open; /* by id */
	struct text out;      /* ids to define, and ~ids to declare */
	uint64_t steps;
	bool given_up;
};

static bool mention(struct emitter *e, uint32_t id, uint32_t owner, unsigned int depth);

static bool mention_members(struct emitter *e, uint32_t id, uint32_t owner, unsigned int depth)
{
	const uint32_t *type = type_at(e->t, id);
	bool done = true;
	if (e->open[id])
		return false;
	e->open[id] = true;
	for (uint32_t i = 0; i < vlen(type) && !e->given_up; i++)
		done &= mention(e, type[4 + 3 * i], owner, depth + 1);
	e->open[id] = false;
	return done;
}

/* Declares what a mention of a type needs; whether that settles it for good, inside whatever `owner`. */
static bool mention(struct emitter *e, uint32_t id, uint32_t owner, unsigned int depth)
{
	const uint32_t *type = type_at(e->t, id);
	uint32_t kind = kind_of(type);
	bool done = true;

	if (e->settled[id])
		return true;
	e->given_up |= too_much(e->t, &e->steps, depth);
	if (e->given_up)
		return false;
	if (is(kind, MODIFIERS | BIT(PTR))) {
		done = mention(e, type[2], owner, depth + 1);
	} else if (is(kind, RECORDS)) {
		if (!type[0])
			done = mention_members(e, id, owner, depth);
		else if (id == owner)
			return false;
		else
			put_id(&e->out, ~id);
	} else if (kind == FUNC_PROTO) {
		done = mention(e, type[2], owner, depth + 1);
		for (uint32_t i = 0; i < vlen(type) && !e->given_up; i++)
			done &= mention(e, type[4 + 2 * i], owner, depth + 1);
	} else if (kind == TYPEDEF) {
		if (!e->open[id]) {
			e->open[id] = true;
			mention(e, type[2], id, depth + 1);
			e->open[id] = false;
		}
		if (!e->settled[id])
			put_id(&e->out, id);
	} else if (kind == ARRAY) {
		done = mention(e, type[3], owner, depth + 1);
	} else if (kind == FWD) {
		put_id(&e->out, ~id);
	} else if (kind == INT) {
		put_id(&e->out, id);
	}
	e->settled[id] |= done;
	return done;
}

static void define(struct emitter *e, uint32_t id)
{
	uint32_t kind = kind_of(type_at(e->t, id));
	if (is(kind, RECORDS)) {
		mention_members(e, id, id, 0);
	} else if (!is(kind, ENUMS)) {
		mention(e, id, 0, 0);
		return;
	} else if (e->settled[id]) {
		return;
	}
	put_id(&e->out, id);
	e->settled[id] = true;
}

static PyObject *Table_steps(Table *t, PyObject *args)
{
	PyObject *queue;
	if (!PyArg_ParseTuple(args, "S", &queue))
		return NULL;
	const uint32_t *id = (const uint32_t *)PyBytes_AsString(queue), *end = id + PyBytes_Size(queue) / sizeof(*id);
	struct emitter e = {.t = t, .settled = PyMem_Calloc(t->n_types, 1), .open = PyMem_Calloc(t->n_types, 1)};
	if (!e.settled || !e.open) {
		e.out.failed = true;
	} else {
		e.settled[0] = true;
		for (; id < end && !e.given_up; id++) {
			e.given_up = *id >= t->n_types;
			if (!e.given_up)
				define(&e, *id);
		}
	}
	PyMem_Free(e.settled);
	PyMem_Free(e.open);
	return taken(&e.out, e.given_up);
}

/* ---- Table.lines(ids, at, templates, is_json): types in words, as btf.dump_raw has them ---- */

/* Which templates there are: of a type of each kind, of each row, and what stands around rows. */
enum {
	MEMBER = KINDS, BITFIELD, VALUE, UNSIGNED, SIGNED, PARAM, VARIABLE,
	BETWEEN, AFTER, NOTHING, SEPARATOR, TEMPLATES,
};

struct template { const char *data; size_t size; };

/* What goes into a template: text, or a number. */
struct field {
	const char *text;
	uint64_t number;
	bool negative;
};

#define NUMBER(n) {.number = (n)}
#define TEXT(s) {.text = (s)}
#define NAME(t, offset) {.text = (offset) ? (t)->strings + (offset) : "(anon)"}

struct lines {
	const Table *t;
	struct template templates[TEMPLATES];
	bool is_json;
	struct text out;
};

/* Writes a template with the fields where it has zeros; it may have fewer of them than there are fields. */
static void fill(struct lines *l, int template, const struct field *fields)
{
	const char *at = l->templates[template].data, *end = at + l->templates[template].size, *zero;
	while ((zero = memchr(at, 0, end - at))) {
		put(&l->out, at, zero - at);
		if (fields->text)
			put_string(&l->out, fields->text);
		else
			put_number(&l->out, fields->number, fields->negative);
		fields++;
		at = zero + 1;
	}
	put(&l->out, at, end - at);
}

static struct field signed_number(uint64_t number)
{
	bool negative = number >> 63;
	return (struct field){.number = negative ? -number : number, .negative = negative};
}

static uint64_t extended(uint32_t number) { return (uint64_t)number | (number >> 31 ? UINT64_MAX << 32 : 0); }

static const char *linkage(uint32_t number)
{
	static const char *const WORDS_OF[] = {"static", "global", "extern"};
	return number < 3 ? WORDS_OF[number] : "(unknown)";
}

static const char *encoding(uint32_t number)
{
	static const char *const WORDS_OF[16] = {[0] = "(none)", [1] = "SIGNED", [2] = "CHAR", [4] = "BOOL"};
	return WORDS_OF[number & 15] ? WORDS_OF[number & 15] : "UNKN";
}

enum { FIELDS = 6 }; /* no template has more */

static void put_head(struct lines *l, uint32_t id)
{
	const uint32_t *type = type_at(l->t, id);
	struct field f[FIELDS] = {NUMBER(id), NAME(l->t, type[0]), NUMBER(type[2]), NUMBER(vlen(type))};
	switch (kind_of(type)) {
	case INT:
		f[3] = (struct field)NUMBER(type[3] >> 16 & 0xff);
		f[4] = (struct field)NUMBER(type[3] & 0xff);
		f[5] = (struct field)TEXT(encoding(type[3] >> 24));
		break;
	case ARRAY:
		for (int i = 0; i < 3; i++)
			f[2 + i] = (struct field)NUMBER(type[3 + i]);
		break;
	case ENUM: case ENUM64:
		f[4] = f[3];
		f[3] = f[2];
		f[2] = (struct field)TEXT(flag(type) ? "SIGNED" : "UNSIGNED");
		break;
	case FWD: f[2] = (struct field)TEXT(flag(type) ? "union" : "struct"); break;
	case FUNC: f[3] = (struct field)TEXT(linkage(vlen(type))); break;
	case VAR: f[3] = (struct field)TEXT(linkage(type[3])); break;
	case DECL_TAG: f[3] = signed_number(extended(type[3])); break;
	}
	fill(l, kind_of(type), f);
}

static void put_row(struct lines *l, const uint32_t *type, const uint32_t *row)
{
	static const char *const NAMES[KINDS] = {
		"UNKNOWN", "INT", "PTR", "ARRAY", "STRUCT", "UNION", "ENUM", "FWD", "TYPEDEF", "VOLATILE", "CONST", "RESTRICT",
		"FUNC", "FUNC_PROTO", "VAR", "DATASEC", "FLOAT", "DECL_TAG", "TYPE_TAG", "ENUM64",
	};
	struct field f[FIELDS] = {NAME(l->t, row[0]), NUMBER(row[1])};
	int template = PARAM;
	switch (kind_of(type)) {
	case STRUCT: case UNION:
		template = flag(type) && row[2] >> 24 ? BITFIELD : MEMBER;
		f[2] = (struct field)NUMBER(template == BITFIELD ? row[2] & 0xffffff : row[2]);
		f[3] = (struct field)NUMBER(row[2] >> 24);
		break;
	case ENUM:
		template = VALUE;
		if (flag(type))
			f[1] = signed_number(extended(row[1]));
		else if (l->is_json) /* bpftool reads it as a signed number, and writes it as an unsigned one */
			f[1] = (struct field)NUMBER(extended(row[1]));
		break;
	case ENUM64:
		template = flag(type) ? SIGNED : UNSIGNED;
		f[1].number |= (uint64_t)row[2] << 32;
		if (flag(type))
			f[1] = signed_number(f[1].number);
		break;
	case DATASEC:
		template = VARIABLE;
		for (int i = 0; i < 3; i++)
			f[i] = (struct field)NUMBER(row[i]);
		f[3] = (struct field)TEXT(NAMES[kind_of(type_at(l->t, row[0]))]);
		f[4] = (struct field)NAME(l->t, type_at(l->t, row[0])[0]);
		break;
	}
	fill(l, template, f);
}

static void put_type(struct lines *l, uint32_t id)
{
	const uint32_t *type = type_at(l->t, id);
	uint32_t each = WORDS[kind_of(type)].each, count = each ? vlen(type) : 0;
	put_head(l, id);
	for (uint32_t i = 0; i < count; i++) {
		if (i)
			fill(l, BETWEEN, NULL);
		put_row(l, type, type + 3 + i * each);
	}
	if (each)
		fill(l, count ? AFTER : NOTHING, NULL);
}

/* Reads the templates; false, with an error set, if they have zeros for which there are no fields. */
static bool read_templates(struct lines *l, PyObject *templates)
{
	for (int i = 0; i < TEMPLATES; i++) {
		char *data;
		Py_ssize_t size, zeros = 0;
		PyObject *template = PyTuple_GetItem(templates, i);
		if (!template || PyBytes_AsStringAndSize(template, &data, &size))
			return false;
		for (Py_ssize_t at = 0; at < size; at++)
			zeros += !data[at];
		if (zeros > (i < BETWEEN ? FIELDS : 0)) {
			PyErr_SetString(PyExc_ValueError, "a template has too many fields");
			return false;
		}
		l->templates[i] = (struct template){data, size};
	}
	return true;
}

static PyObject *Table_lines(Table *t, PyObject *args)
{
	PyObject *ids, *templates;
	Py_ssize_t at;
	int is_json;
	struct lines l = {.t = t};
	if (!PyArg_ParseTuple(args, "SnO!p", &ids, &at, &PyTuple_Type, &templates, &is_json))
		return NULL;
	if (!read_templates(&l, templates))
		return NULL;
	l.is_json = is_json;
	const int32_t *id = (const int32_t *)PyBytes_AsString(ids);
	Py_ssize_t count = PyBytes_Size(ids) / sizeof(*id), first = at;
	for (; at >= 0 && at < count && l.out.used < ENOUGH && !l.out.failed; at++) {
		if (id[at] < 0 || (size_t)id[at] >= t->n_types)
			break;
		if (at > first)
			fill(&l, SEPARATOR, NULL);
		put_type(&l, id[at]);
	}
	PyObject *text = taken(&l.out, at == first);
	return text ? Py_BuildValue("Nn", text, at) : NULL;
}

/* ---- Table.record() and Table.values(): what is in a definition, as btf._c_text has it ---- */

/* A btf._c_text.Shape: what a member looks like. */
struct shape {
	PyObject *tuple;
	uint64_t alignment, size;
	struct template before, bare, after;
};

static bool read_text(PyObject *tuple, Py_ssize_t at, struct template *text)
{
	PyObject *item = PyTuple_GetItem(tuple, at);
	Py_ssize_t size = 0;
	text->data = item ? PyUnicode_AsUTF8AndSize(item, &size) : NULL;
	text->size = size;
	return text->data;
}

static bool read_number(PyObject *tuple, Py_ssize_t at, uint64_t *number)
{
	PyObject *item = PyTuple_GetItem(tuple, at);
	*number = item ? PyLong_AsUnsignedLongLong(item) : 0;
	return item && !PyErr_Occurred();
}

static bool read_shape(struct shape *shape, PyObject *shapes, uint32_t id)
{
	PyObject *key = PyLong_FromUnsignedLong(id);
	if (!key)
		return false;
	shape->tuple = PyObject_GetItem(shapes, key);
	Py_DECREF(key);
	if (!shape->tuple || !read_number(shape->tuple, 0, &shape->alignment) ||
	    !read_number(shape->tuple, 1, &shape->size) || !read_text(shape->tuple, 2, &shape->before) ||
	    !read_text(shape->tuple, 3, &shape->bare) || !read_text(shape->tuple, 4, &shape->after))
		return false;
	if (!shape->alignment || !shape->after.size) {
		PyErr_SetString(PyExc_ValueError, "a shape is without alignment, or without its end");
		return false;
	}
	return true;
}

struct record {
	const uint32_t *type;
	struct shape *shapes;
	uint64_t widest;
	bool packed;
	struct template line; /* what a line begins with */
	PyObject *filling;    /* what fills a gap */
	struct text text;
};

static void put_template(struct text *text, const struct template *template)
{
	put(text, template->data, template->size);
}

static bool put_filling(struct record *r, uint64_t end, uint64_t at, uint64_t alignment, bool between_bitfields)
{
	bool may_move = r->packed && kind_of(r->type) == STRUCT;
	PyObject *fields = PyObject_CallFunction(r->filling, "KKKO", (unsigned long long)end, (unsigned long long)at,
						 (unsigned long long)(may_move ? 8 : alignment),
						 between_bitfields ? Py_True : Py_False);
	Py_ssize_t count = fields ? PyList_Size(fields) : -1;
	for (Py_ssize_t i = 0; i < count; i++) {
		Py_ssize_t size;
		const char *field = PyUnicode_AsUTF8AndSize(PyList_GetItem(fields, i), &size);
		if (!field) {
			count = -1;
			break;
		}
		put_template(&r->text, &r->line);
		put(&r->text, field, size);
	}
	Py_XDECREF(fields);
	return count >= 0;
}

/* Where a member is, and how wide if it is a bitfield. */
static uint32_t offset_of(const uint32_t *type, const uint32_t *row) { return flag(type) ? row[2] & 0xffffff : row[2]; }
static uint32_t width_of(const uint32_t *type, const uint32_t *row) { return flag(type) ? row[2] >> 24 : 0; }

static bool put_members(const Table *t, struct record *r)
{
	uint64_t end = 0, size = (uint64_t)r->type[2] * 8;
	uint32_t last = 0;
	for (uint32_t i = 0; i < vlen(r->type); i++) {
		const uint32_t *row = r->type + 3 + 3 * i;
		const struct shape *shape = r->shapes + i;
		uint32_t at = offset_of(r->type, row), width = width_of(r->type, row);
		const char *name = t->strings + row[0];

		if (end < at && !put_filling(r, end, at, shape->alignment, last && width))
			return false;
		put_template(&r->text, *name ? &shape->before : &shape->bare);
		put_string(&r->text, name);
		if (width) {
			put(&r->text, shape->after.data, shape->after.size - 1);
			put_string(&r->text, ": ");
			put_number(&r->text, width, false);
			put_string(&r->text, ";");
		} else {
			put_template(&r->text, &shape->after);
		}
		end = at + (width ? width : shape->size);
		last = width;
	}
	return kind_of(r->type) != STRUCT || end >= size || put_filling(r, end, size, r->widest, false);
}

/* Asks for the shapes of all members before anything is written: whether they are packed decides about gaps. */
static bool read_shapes(struct record *r, PyObject *shapes)
{
	r->widest = 8;
	for (uint32_t i = 0; i < vlen(r->type); i++) {
		const uint32_t *row = r->type + 3 + 3 * i;
		if (!read_shape(r->shapes + i, shapes, row[1]))
			return false;
		uint64_t alignment = r->shapes[i].alignment;
		r->packed |= offset_of(r->type, row) % alignment && !width_of(r->type, row);
		if (alignment > r->widest)
			r->widest = alignment;
	}
	r->packed |= (uint64_t)r->type[2] * 8 % r->widest != 0;
	return true;
}

/* Ends the use of a text; the answer is a str, or NULL with an error set, as it is if the text is not done. */
static PyObject *string(struct text *text, bool done)
{
	PyObject *result = NULL;
	if (done && text->failed)
		PyErr_NoMemory();
	else if (done)
		result = PyUnicode_FromStringAndSize(text->data, text->used);
	PyMem_Free(text->data);
	return result;
}

static PyObject *Table_record(Table *t, PyObject *args)
{
	unsigned int id;
	PyObject *shapes;
	const char *tag, *line, *last_line;
	struct record r = {0};
	if (!PyArg_ParseTuple(args, "IsOssO", &id, &tag, &shapes, &line, &last_line, &r.filling))
		return NULL;
	if (id >= t->n_types || !is(kind_of(type_at(t, id)), RECORDS))
		return PyErr_Format(PyExc_ValueError, "type %u is no record", id);
	r.type = type_at(t, id);
	r.line = (struct template){line, strlen(line)};
	r.shapes = PyMem_Calloc(vlen(r.type) + (size_t)1, sizeof(*r.shapes));
	if (!r.shapes)
		return PyErr_NoMemory();
	bool is_struct = kind_of(r.type) == STRUCT;
	put_string(&r.text, is_struct ? "struct " : "union ");
	put_string(&r.text, tag);
	put_string(&r.text, *tag ? " {" : "{");
	bool done = read_shapes(&r, shapes) && put_members(t, &r);
	put_string(&r.text, vlen(r.type) || r.type[2] ? last_line : "");
	put_string(&r.text, is_struct && r.packed ? "} __attribute__((packed))" : "}");
	for (uint32_t i = 0; i < vlen(r.type); i++)
		Py_XDECREF(r.shapes[i].tuple);
	PyMem_Free(r.shapes);
	PyObject *text = string(&r.text, done);
	return text ? Py_BuildValue("NKO", text, (unsigned long long)r.widest, r.packed ? Py_True : Py_False) : NULL;
}

/* Writes the name of a value, with a number if another value has it too. */
static bool put_name_once(struct text *text, PyObject *met, const char *name)
{
	PyObject *key = PyUnicode_FromString(name), *before = key ? PyDict_GetItemWithError(met, key) : NULL;
	unsigned long count = before ? PyLong_AsUnsignedLong(before) + 1 : 1;
	PyObject *now = PyErr_Occurred() ? NULL : PyLong_FromUnsignedLong(count);
	bool done = now && !PyDict_SetItem(met, key, now);
	put_string(text, name);
	if (count > 1) {
		put_string(text, "___");
		put_number(text, count, false);
	}
	Py_XDECREF(now);
	Py_XDECREF(key);
	return done;
}

static PyObject *Table_values(Table *t, PyObject *args)
{
	unsigned int id;
	PyObject *met;
	const char *line;
	if (!PyArg_ParseTuple(args, "IO!s", &id, &PyDict_Type, &met, &line))
		return NULL;
	if (id >= t->n_types || !is(kind_of(type_at(t, id)), ENUMS))
		return PyErr_Format(PyExc_ValueError, "type %u is no enum", id);
	const uint32_t *type = type_at(t, id);
	bool wide = kind_of(type) == ENUM64, done = true;
	const char *end = !wide ? "," : flag(type) ? "LL," : "ULL,";
	struct text text = {0};
	for (uint32_t i = 0; i < vlen(type) && done; i++) {
		const uint32_t *row = type + 3 + i * WORDS[kind_of(type)].each;
		uint64_t number = wide ? row[1] | (uint64_t)row[2] << 32 : flag(type) ? extended(row[1]) : row[1];
		struct field value = flag(type) ? signed_number(number) : (struct field)NUMBER(number);
		put_string(&text, line);
		done = put_name_once(&text, met, t->strings + row[0]);
		put_string(&text, " = ");
		put_number(&text, value.number, value.negative);
		put_string(&text, end);
	}
	return string(&text, done);
}

/* ---- the module ---- */

static PyObject *Table_new(PyTypeObject *class, PyObject *args, PyObject *Py_UNUSED(kwargs))
{
	PyObject *words, *starts, *strings;
	if (!PyArg_ParseTuple(args, "SSS", &words, &starts, &strings))
		return NULL;
	allocfunc alloc = (allocfunc)PyType_GetSlot(class, Py_tp_alloc);
	Table *t = (Table *)alloc(class, 0);
	if (!t)
		return NULL;
	t->owners[0] = Py_NewRef(words);
	t->owners[1] = Py_NewRef(starts);
	t->owners[2] = Py_NewRef(strings);
	t->words = (const uint32_t *)PyBytes_AsString(words);
	t->starts = (const uint32_t *)PyBytes_AsString(starts);
	t->strings = PyBytes_AsString(strings);
	t->n_words = PyBytes_Size(words) / sizeof(*t->words);
	t->n_types = PyBytes_Size(starts) / sizeof(*t->starts);
	t->n_strings = PyBytes_Size(strings);
	if (is_sound(t))
		return (PyObject *)t;
	Py_DECREF(t);
	PyErr_SetString(PyExc_ValueError, "not as compilers make it");
	return NULL;
}

static void Table_dealloc(Table *t)
{
	PyTypeObject *class = Py_TYPE((PyObject *)t);
	freefunc free_ = (freefunc)PyType_GetSlot(class, Py_tp_free);
	for (int i = 0; i < 3; i++)
		Py_XDECREF(t->owners[i]);
	free_(t);
	Py_DECREF(class);
}

static PyMethodDef Table_methods[] = {
	{"kinds", (PyCFunction)Table_kinds, METH_NOARGS, NULL},
	{"lines", (PyCFunction)Table_lines, METH_VARARGS, NULL},
	{"record", (PyCFunction)Table_record, METH_VARARGS, NULL},
	{"values", (PyCFunction)Table_values, METH_VARARGS, NULL},
	{"queue", (PyCFunction)Table_queue, METH_O, NULL},
	{"steps", (PyCFunction)Table_steps, METH_VARARGS, NULL},
	{0},
};

static PyType_Slot Table_slots[] = {
	{Py_tp_new, Table_new},
	{Py_tp_dealloc, Table_dealloc},
	{Py_tp_methods, Table_methods},
	{0},
};

static PyType_Spec Table_spec = {
	.name = "btf._fast.Table",
	.basicsize = sizeof(Table),
	.flags = Py_TPFLAGS_DEFAULT,
	.slots = Table_slots,
};

static int exec(PyObject *module)
{
	PyObject *class = PyType_FromModuleAndSpec(module, &Table_spec, NULL);
	if (!class)
		return -1;
	int rc = PyModule_AddObjectRef(module, "Table", class);
	Py_DECREF(class);
	return rc;
}

static PyMethodDef methods[] = {
	{"walk", walk, METH_O, NULL},
	{0},
};

static PyModuleDef_Slot slots[] = {{Py_mod_exec, exec}, {0}};

static struct PyModuleDef module = {
	PyModuleDef_HEAD_INIT,
	.m_name = "btf._fast",
	.m_methods = methods,
	.m_slots = slots,
};

PyMODINIT_FUNC PyInit__fast(void)
{
	return PyModuleDef_Init(&module);
}
