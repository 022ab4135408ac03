// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The loops that go over every type of a kernel: those of btf dump, and the search for a name.
 *
 * Each has a twin in Python that says the same: walk() in btf/_section.py,
 * named() in btf/read.py, queue() in btf/_c_sort.py with _c_order.py and _c_hash.py, steps() in
 * _c_emit.py, header() in _c_text.py with _c_declarator.py and _c_layout.py,
 * lines() in dump_raw.py. Why something is as it is stands there.
 *
 * What is not as compilers make it is the twin's: the answer is None then. So
 * damaged types need no messages here. All that a Table was made of is checked
 * when it is made, and cannot change after; functions that call themselves
 * count how deep they are, and what could take long how often it was done.
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
	MAX_STRING = 2048, /* a kernel's are shorter than 512 */
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
	/* names are ASCII, so that text has one byte per character, and short, so that comparing them is quick */
	for (size_t i = 0, start = 0; i < t->n_strings; i++) {
		if ((unsigned char)t->strings[i] > 0x7f || i - start > MAX_STRING)
			return false;
		if (!t->strings[i])
			start = i;
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

/* ---- named(words, starts, offsets): the types, counted from 0, whose name stands at one of the sorted offsets ---- */

static bool contains(const uint64_t *sorted, size_t count, uint64_t wanted)
{
	while (count) {
		size_t middle = count / 2;
		if (sorted[middle] == wanted)
			return true;
		if (sorted[middle] < wanted) {
			sorted += middle + 1;
			count -= middle + 1;
		} else {
			count = middle;
		}
	}
	return false;
}

static PyObject *named(PyObject *Py_UNUSED(module), PyObject *args)
{
	Py_buffer words, starts, offsets;
	if (!PyArg_ParseTuple(args, "y*y*y*", &words, &starts, &offsets))
		return NULL;
	const uint32_t *word = words.buf, *start = starts.buf;
	size_t end = words.len / sizeof(*word), n_types = starts.len / sizeof(*start);
	size_t n_offsets = offsets.len / sizeof(uint64_t);
	bool odd = (uintptr_t)words.buf % sizeof(*word) || (uintptr_t)starts.buf % sizeof(*start) ||
		   (uintptr_t)offsets.buf % sizeof(uint64_t);
	struct text found = {0};
	for (size_t i = 0; !odd && i < n_types; i++) {
		odd = start[i] >= end;
		if (!odd && contains(offsets.buf, n_offsets, word[start[i]]))
			put_id(&found, (int32_t)i);
	}
	PyBuffer_Release(&words);
	PyBuffer_Release(&starts);
	PyBuffer_Release(&offsets);
	return taken(&found, odd);
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
	return depth > MAX_DEPTH || ++*steps > PATIENCE * (uint64_t)t->n_types;
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
	if (is(kind_of(type), RECORDS))
		return type[0] ? RANKS[kind_of(type)] : LAST;
	if (is(kind_of(type), BIT(INT) | BIT(FLOAT)))
		return RANKS[kind_of(type)];
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

/* ---- Table.header(steps, externs, pointer_size): C, as btf._c_text has it ---- */

enum {
	MAX_NESTED = 100,        /* of definitions and declarators in each other */
	MAX_RESOLVE = 32,        /* as libbpf's MAX_RESOLVE_DEPTH */
	MAX_TABS = 13,
	MAX_NAME = 240,          /* of a name with a number */
	MAX_LENGTH = 1 << 13,    /* of a declarator */
	MAX_GAP = 1 << 23,       /* bits */
	MAX_TEXT = 32,           /* bytes for each four bytes of types and strings; in a kernel 5 */
};
#define MAX_SIZE (UINT64_C(8) << 32)

struct writer {
	const Table *t;
	struct text out;
	uint32_t *number;           /* by id: which type of its name it is, 0 if nobody asked */
	struct layout { uint32_t alignment; bool packed; } *layouts; /* by id; alignment 0 if nobody asked */
	PyObject *tags, *idents;    /* name -> how many have it */
	uint32_t long_bits;
	uint64_t room, definitions;
	bool given_up;
};

static bool goes_on(struct writer *w, unsigned int depth)
{
	w->given_up |= depth > MAX_NESTED || w->out.failed;
	return !w->given_up;
}

static void spend(struct writer *w, uint64_t size)
{
	w->given_up |= size > w->room;
	w->room -= w->given_up ? 0 : size;
}

static void put_line(struct writer *w, unsigned int level)
{
	put(&w->out, "\n\t\t\t\t\t\t\t\t\t\t\t\t\t", 1 + (level < MAX_TABS ? level : MAX_TABS));
}

/* How many have asked for this name, this time included. */
static uint32_t count(struct writer *w, PyObject *met, const char *name)
{
	PyObject *key = PyUnicode_FromString(name), *before = key ? PyDict_GetItemWithError(met, key) : NULL;
	unsigned long number = before ? PyLong_AsUnsignedLong(before) + 1 : 1;
	PyObject *now = key ? PyLong_FromUnsignedLong(number) : NULL;
	w->out.failed |= !now || PyDict_SetItem(met, key, now);
	Py_XDECREF(now);
	Py_XDECREF(key);
	return (uint32_t)number;
}

static void put_numbered(struct writer *w, const char *name, uint32_t number)
{
	put_string(&w->out, name);
	if (number > 1) {
		w->given_up |= strlen(name) > MAX_NAME;
		put_string(&w->out, "___");
		put_number(&w->out, number, false);
	}
}

static uint32_t number_of(struct writer *w, uint32_t id)
{
	const uint32_t *type = type_at(w->t, id);
	uint32_t kind = kind_of(type);
	if (!w->number[id]) {
		/* what is only declared may be declared again */
		bool declared = kind == FWD || (kind == ENUM && !vlen(type));
		w->number[id] = declared || !*name_of(w->t, id) ?
				1 : count(w, kind == TYPEDEF ? w->idents : w->tags, name_of(w->t, id));
	}
	return w->number[id];
}

static void put_name(struct writer *w, uint32_t id) { put_numbered(w, name_of(w->t, id), number_of(w, id)); }

/* Sizes and alignments are in bits; what cannot be measured has size 0 and the alignment of a byte. */
static struct layout layout_of(struct writer *w, uint32_t id, unsigned int depth);

static uint32_t measure(struct writer *w, uint32_t id, uint64_t *size, unsigned int depth)
{
	uint64_t times = 1, bits = 0;
	uint32_t alignment = 8;
	for (int i = 0;; i++) {
		const uint32_t *type = type_at(w->t, id);
		uint32_t kind = kind_of(type);
		w->given_up |= i == MAX_RESOLVE;
		if (!goes_on(w, depth))
			break;
		if (kind == ARRAY) {
			times *= type[5];
			if (times > MAX_SIZE)
				times = MAX_SIZE;
			id = type[3];
			continue;
		}
		if (is(kind, MODIFIERS | BIT(TYPEDEF))) {
			id = type[2];
			continue;
		}
		if (kind == PTR) {
			bits = alignment = w->long_bits;
		} else if (is(kind, BIT(INT) | BIT(FLOAT) | ENUMS)) {
			bits = (uint64_t)type[2] * 8;
			alignment = bits > w->long_bits ? w->long_bits : bits ? (uint32_t)bits : 8;
		} else if (is(kind, RECORDS)) {
			struct layout layout = layout_of(w, id, depth + 1);
			bits = (uint64_t)type[2] * 8;
			alignment = layout.packed ? 8 : layout.alignment;
		}
		break;
	}
	*size = bits && times > (MAX_SIZE - 1) / bits ? 0 : times * bits;
	return alignment;
}

/* Where a member is, and how wide if it is a bitfield. */
static uint32_t offset_of(const uint32_t *type, const uint32_t *row) { return flag(type) ? row[2] & 0xffffff : row[2]; }
static uint32_t width_of(const uint32_t *type, const uint32_t *row) { return flag(type) ? row[2] >> 24 : 0; }

/* The widest alignment in a record, and whether C would place its members differently. */
static struct layout layout_of(struct writer *w, uint32_t id, unsigned int depth)
{
	const uint32_t *type = type_at(w->t, id);
	struct layout layout = w->layouts[id];
	if (layout.alignment)
		return layout;
	layout.alignment = 8;
	for (uint32_t i = 0; i < vlen(type) && goes_on(w, depth); i++) {
		const uint32_t *row = type + 3 + 3 * i;
		uint64_t size;
		uint32_t alignment = measure(w, row[1], &size, depth);
		layout.packed |= offset_of(type, row) % alignment && !width_of(type, row);
		if (alignment > layout.alignment)
			layout.alignment = alignment;
	}
	layout.packed |= (uint64_t)type[2] * 8 % layout.alignment != 0;
	return w->layouts[id] = layout;
}

static uint64_t rounded_up(uint64_t number, uint64_t unit) { return (number + unit - 1) / unit * unit; }

/* Fills the gap before what has this alignment with unnamed bitfields, where C would leave none. */
static void put_filling(struct writer *w, uint64_t start, uint64_t stop, uint32_t alignment, bool bitfield,
			unsigned int level)
{
	static const char *const NAMES[] = {"long: ", "int: ", "short: ", "char: "};
	const uint32_t units[] = {w->long_bits, 32, 16, 8};
	uint64_t boundary;
	int unit = 0;
	while ((boundary = rounded_up(start, units[unit])) > stop && unit < 3)
		unit++;
	if (start < boundary && boundary <= stop) {
		uint64_t before = boundary - start, behind = stop - boundary;
		bool by_itself = rounded_up(start, alignment) == boundary;
		if (bitfield || (!behind && !by_itself) || (behind && behind <= before)) {
			put_line(w, level);
			put_string(&w->out, NAMES[unit]);
			put_number(&w->out, bitfield ? before : 0, false);
			put_string(&w->out, ";");
		}
		start = boundary;
	}
	w->given_up |= stop - start > MAX_GAP;
	while (start < stop && goes_on(w, 0)) {
		uint64_t bits = units[unit];
		if (stop - start < bits) {
			bits = stop - start;
			for (unit = 3; units[unit] < bits;)
				unit--;
		}
		put_line(w, level);
		put_string(&w->out, NAMES[unit]);
		put_number(&w->out, bits, false);
		put_string(&w->out, ";");
		start += bits;
	}
}

static void put_declaration(struct writer *w, uint32_t id, const char *name, unsigned int level, unsigned int depth);

static void put_record(struct writer *w, uint32_t id, unsigned int level, unsigned int depth)
{
	const uint32_t *type = type_at(w->t, id);
	bool is_struct = kind_of(type) == STRUCT, named = *name_of(w->t, id);
	struct layout layout = layout_of(w, id, depth);
	uint64_t end = 0, size = (uint64_t)type[2] * 8;
	uint32_t last = 0;

	put_string(&w->out, is_struct ? "struct " : "union ");
	put_name(w, id);
	put_string(&w->out, named ? " {" : "{");
	for (uint32_t i = 0; i < vlen(type) && goes_on(w, depth); i++) {
		const uint32_t *row = type + 3 + 3 * i;
		uint32_t at = offset_of(type, row), width = width_of(type, row);
		uint64_t bits;
		uint32_t alignment = measure(w, row[1], &bits, depth);

		if (end < at)
			put_filling(w, end, at, layout.packed && is_struct ? 8 : alignment, last && width, level + 1);
		put_line(w, level + 1);
		put_declaration(w, row[1], w->t->strings + row[0], level + 1, depth + 1);
		if (width) {
			put_string(&w->out, ": ");
			put_number(&w->out, width, false);
		}
		put_string(&w->out, ";");
		end = at + (width ? width : bits);
		last = width;
	}
	if (is_struct && end < size)
		put_filling(w, end, size, layout.packed ? 8 : layout.alignment, false, level + 1);
	if (vlen(type) || size)
		put_line(w, level);
	put_string(&w->out, is_struct && layout.packed ? "} __attribute__((packed))" : "}");
}

static void put_enum(struct writer *w, uint32_t id, unsigned int level)
{
	const uint32_t *type = type_at(w->t, id);
	bool wide = kind_of(type) == ENUM64, high = false;
	const char *end = !wide ? "," : flag(type) ? "LL," : "ULL,";

	put_string(&w->out, *name_of(w->t, id) ? "enum " : "enum");
	put_name(w, id);
	if (!vlen(type))
		return;
	put_string(&w->out, " {");
	for (uint32_t i = 0; i < vlen(type) && goes_on(w, 0); i++) {
		const uint32_t *row = type + 3 + i * WORDS[kind_of(type)].each;
		uint64_t number = wide ? row[1] | (uint64_t)row[2] << 32 : flag(type) ? extended(row[1]) : row[1];
		struct field value = flag(type) ? signed_number(number) : (struct field)NUMBER(number);
		const char *name = w->t->strings + row[0];
		high |= wide && row[2];
		put_line(w, level + 1);
		put_numbered(w, name, count(w, w->idents, name));
		put_string(&w->out, " = ");
		put_number(&w->out, value.number, value.negative);
		put_string(&w->out, end);
	}
	put_line(w, level);
	put_string(&w->out, "}");
	if (type[2] == 1)
		put_string(&w->out, " __attribute__((mode(byte)))");
	else if (type[2] == 8 && w->long_bits == 64 && !high) /* no value says that the enum has 64 bits */
		put_string(&w->out, " __attribute__((mode(word)))");
}

/* A definition without a name, which stands where it is mentioned. */
static void put_inline(struct writer *w, uint32_t id, unsigned int level, unsigned int depth)
{
	w->definitions++;
	if (is(kind_of(type_at(w->t, id)), RECORDS))
		put_record(w, id, level, depth + 1);
	else
		put_enum(w, id, level);
}

static void put_forward(struct writer *w, uint32_t id)
{
	const uint32_t *type = type_at(w->t, id);
	put_string(&w->out, kind_of(type) == UNION || (kind_of(type) == FWD && flag(type)) ? "union " : "struct ");
	put_name(w, id);
}

/*
 * A declarator grows around the name that it declares, see btf._c_declarator. What stands before the
 * name is written from the type at the end outwards, and what stands behind it from the outside in.
 */
enum how { BEFORE, NEXT, OF_ARRAY, OF_FUNCTION };

struct declarator {
	enum how how;     /* BEFORE: the text of `last` is due; OF_...: [N] or (parameters) come behind the name */
	bool pointer;     /* the text ends in "*" */
	bool calls;       /* there is a function in it */
	uint32_t last;
};

static void put_last(struct writer *w, uint32_t id, unsigned int level, unsigned int depth)
{
	const uint32_t *type = type_at(w->t, id);
	uint32_t kind = kind_of(type);
	if (!id) {
		put_string(&w->out, "void");
	} else if (is(kind, RECORDS | ENUMS) && !*name_of(w->t, id)) {
		put_inline(w, id, level, depth);
	} else if (kind == FWD || is(kind, RECORDS)) {
		put_forward(w, id);
	} else if (is(kind, ENUMS)) {
		put_string(&w->out, "enum ");
		put_name(w, id);
	} else if (kind == TYPEDEF) {
		put_name(w, id);
	} else if (is(kind, BIT(INT) | BIT(FLOAT))) {
		put_string(&w->out, name_of(w->t, id));
	} else if (kind == TYPE_TAG) {
		put_string(&w->out, flag(type) ? " __attribute__((" : " __attribute__((btf_type_tag(\"");
		put_string(&w->out, name_of(w->t, id));
		put_string(&w->out, flag(type) ? "))" : "\")))");
	} else {
		w->given_up = true; /* no type of a value */
	}
}

/* Makes room for more around the name. */
static struct declarator opened(struct writer *w, struct declarator d, bool named, bool array, unsigned int level,
				unsigned int depth)
{
	if (d.how == NEXT)
		return d;
	if (d.how == BEFORE) {
		put_last(w, d.last, level, depth);
		return (struct declarator){.how = NEXT, .calls = d.calls};
	}
	if (d.how == OF_FUNCTION || (named && !d.pointer))
		put_string(&w->out, " ");
	if (d.how == OF_FUNCTION || !array)
		put_string(&w->out, "(");
	return (struct declarator){.how = NEXT, .pointer = true, .calls = d.calls};
}

/* Numbers the names in a type in the order in which Python meets them. */
static void meet(struct writer *w, uint32_t id, unsigned int depth)
{
	const uint32_t *type = type_at(w->t, id);
	uint32_t kind = kind_of(type);
	spend(w, 1);
	if (!goes_on(w, depth))
		return;
	if (is(kind, MODIFIERS | BIT(PTR) | BIT(FUNC_PROTO)))
		meet(w, type[2], depth + 1);
	else if (kind == ARRAY)
		meet(w, type[3], depth + 1);
	else if (is(kind, RECORDS | ENUMS | BIT(FWD) | BIT(TYPEDEF)))
		number_of(w, id);
	w->given_up |= is(kind, RECORDS | ENUMS) && !*name_of(w->t, id);
	for (uint32_t i = 0; kind == FUNC_PROTO && i < vlen(type) && goes_on(w, depth); i++)
		meet(w, type[4 + 2 * i], depth + 1);
}

static struct declarator put_before(struct writer *w, uint32_t id, bool named, unsigned int level, unsigned int depth)
{
	static const char *const QUALIFIERS[KINDS] = {
		[CONST] = "const", [VOLATILE] = "volatile", [RESTRICT] = "restrict",
	};
	const uint32_t *type = type_at(w->t, id);
	uint32_t kind = kind_of(type);
	struct declarator d = {.how = BEFORE, .last = id};

	if (!goes_on(w, depth) || !is(kind, MODIFIERS | BIT(PTR) | BIT(ARRAY) | BIT(FUNC_PROTO)))
		return d;
	d = put_before(w, type[kind == ARRAY ? 3 : 2], named, level, depth + 1);
	if (QUALIFIERS[kind]) {
		if (d.how > NEXT)
			return d;
		put_string(&w->out, d.how == NEXT ? " " : "");
		put_string(&w->out, QUALIFIERS[kind]);
		put_string(&w->out, d.how == NEXT ? "" : " ");
		d.pointer = false;
		return d;
	}
	d = opened(w, d, named, kind == ARRAY, level, depth);
	if (kind == PTR) {
		put_string(&w->out, d.pointer ? "*" : " *");
		d.pointer = true;
		return d;
	}
	if (kind == FUNC_PROTO && d.calls)
		meet(w, type[2], depth);
	d.calls |= kind == FUNC_PROTO;
	d.how = kind == ARRAY ? OF_ARRAY : kind == FUNC_PROTO ? OF_FUNCTION : BEFORE;
	d.pointer &= kind != TYPE_TAG;
	d.last = id;
	return d;
}

/* What put_before() says of a type, without writing it. */
static enum how how_of(const struct writer *w, uint32_t id)
{
	const uint32_t *type = type_at(w->t, id);
	for (int i = 0; i < MAX_NESTED && is(kind_of(type), MODIFIERS & ~BIT(TYPE_TAG)); i++)
		type = type_at(w->t, type[2]);
	switch (kind_of(type)) {
	case PTR: return NEXT;
	case ARRAY: return OF_ARRAY;
	case FUNC_PROTO: return OF_FUNCTION;
	default: return BEFORE;
	}
}

static void put_params(struct writer *w, const uint32_t *type, unsigned int level, unsigned int depth)
{
	uint32_t number = vlen(type);
	bool varargs = number && !type[4 + 2 * (number - 1)];
	if (!number || (number == 1 && varargs)) {
		put_string(&w->out, "void");
		return;
	}
	for (uint32_t i = 0; i < number && goes_on(w, depth); i++) {
		const uint32_t *row = type + 3 + 2 * i;
		put_string(&w->out, i ? ", " : "");
		if (i == number - 1 && varargs)
			put_string(&w->out, "...");
		else
			put_declaration(w, row[1], w->t->strings + row[0], level, depth + 1);
	}
}

static void put_behind(struct writer *w, uint32_t id, unsigned int level, unsigned int depth)
{
	const uint32_t *type = type_at(w->t, id);
	uint32_t kind = kind_of(type);
	if (!goes_on(w, depth) || !is(kind, MODIFIERS | BIT(PTR) | BIT(ARRAY) | BIT(FUNC_PROTO)))
		return;
	uint32_t target = type[kind == ARRAY ? 3 : 2];
	if (kind == ARRAY) {
		put_string(&w->out, "[");
		put_number(&w->out, type[5], false);
		put_string(&w->out, "]");
	} else if (kind == FUNC_PROTO) {
		put_string(&w->out, "(");
		put_params(w, type, level, depth);
		put_string(&w->out, ")");
	}
	if (!is(kind, MODIFIERS & ~BIT(TYPE_TAG)) && how_of(w, target) >= (kind == ARRAY ? OF_FUNCTION : OF_ARRAY))
		put_string(&w->out, ")");
	put_behind(w, target, level, depth + 1);
}

static void put_declaration(struct writer *w, uint32_t id, const char *name, unsigned int level, unsigned int depth)
{
	size_t start = w->out.used;
	uint64_t definitions = w->definitions;
	struct declarator d = put_before(w, id, *name, level, depth);
	if (d.how == BEFORE)
		put_last(w, d.last, level, depth);
	if (*name && !d.pointer)
		put_string(&w->out, " ");
	put_string(&w->out, name);
	put_behind(w, id, level, depth);
	size_t length = w->out.used - start;
	bool fixed = definitions == w->definitions;
	w->given_up |= fixed && length > MAX_LENGTH;
	spend(w, fixed ? 2 * length : length);
}

static void put_typedef(struct writer *w, uint32_t id)
{
	const char *name = name_of(w->t, id);
	uint32_t target = type_at(w->t, id)[2];
	if (!strcmp(name, "__builtin_va_list"))
		return; /* compilers have it, and do not let define it */
	number_of(w, id);
	put_string(&w->out, "typedef ");
	if (!target && !strcmp(name, "__gnuc_va_list") && number_of(w, id) == 1) {
		put_string(&w->out, "__builtin_va_list __gnuc_va_list"); /* what old compilers say of it is void */
	} else {
		w->given_up |= number_of(w, id) > 1 && strlen(name) > MAX_NAME;
		char numbered[MAX_NAME + 24];
		if (number_of(w, id) > 1 && !w->given_up) {
			PyOS_snprintf(numbered, sizeof(numbered), "%s___%u", name, (unsigned int)number_of(w, id));
			name = numbered;
		}
		put_declaration(w, target, name, 0, 0);
	}
	put_string(&w->out, ";\n\n");
}

/* What a compiler may know but not define. */
static void put_missing(struct writer *w, uint32_t id)
{
	static const char *const MISSING[][2] = {
		{"__Poly8_t", "unsigned char"}, {"__Poly16_t", "unsigned short"},
		{"__Poly64_t", "unsigned long long"}, {"__Poly128_t", "unsigned __int128"},
	};
	for (size_t i = 0; number_of(w, id) == 1 && i < sizeof(MISSING) / sizeof(*MISSING); i++) {
		if (strcmp(MISSING[i][0], name_of(w->t, id)))
			continue;
		put_string(&w->out, "typedef ");
		put_string(&w->out, MISSING[i][1]);
		put_string(&w->out, " ");
		put_string(&w->out, MISSING[i][0]);
		put_string(&w->out, ";\n\n");
	}
}

static void put_step(struct writer *w, int32_t step)
{
	uint32_t id = step < 0 ? ~step : step, kind;
	w->given_up |= id >= w->t->n_types;
	if (!goes_on(w, 0))
		return;
	kind = kind_of(type_at(w->t, id));
	if (kind == TYPEDEF) {
		put_typedef(w, id);
		return;
	}
	if (kind == INT) {
		put_missing(w, id);
		return;
	}
	if (step < 0)
		put_forward(w, id);
	else if (is(kind, RECORDS))
		put_record(w, id, 0, 0);
	else if (is(kind, ENUMS))
		put_enum(w, id, 0);
	else
		w->given_up = true;
	put_string(&w->out, ";\n\n");
}

/* Writes the declaration of a function; the id is inverted if calling it is fast. */
static void put_extern(struct writer *w, int32_t step)
{
	uint32_t id = step < 0 ? ~step : step;
	w->given_up |= id >= w->t->n_types || kind_of(type_at(w->t, id)) != FUNC;
	if (!goes_on(w, 0))
		return;
	put_string(&w->out, step < 0 ? "extern __bpf_fastcall " : "extern ");
	put_declaration(w, type_at(w->t, id)[2], name_of(w->t, id), 0, 0);
	put_string(&w->out, " __weak __ksym;\n");
}

static PyObject *Table_header(Table *t, PyObject *args)
{
	PyObject *steps, *externs;
	unsigned int pointer_size;
	if (!PyArg_ParseTuple(args, "SSI", &steps, &externs, &pointer_size))
		return NULL;
	struct writer w = {
		.t = t,
		.number = PyMem_Calloc(t->n_types, sizeof(*w.number)),
		.layouts = PyMem_Calloc(t->n_types, sizeof(*w.layouts)),
		.tags = PyDict_New(),
		.idents = PyDict_New(),
		.long_bits = pointer_size == 4 ? 32 : 64,
		.room = MAX_TEXT * ((uint64_t)t->n_words + t->n_strings / 4 + 256),
	};
	w.out.failed = !w.number || !w.layouts || !w.tags || !w.idents;
	const int32_t *step = (const int32_t *)PyBytes_AsString(steps);
	for (Py_ssize_t i = 0; i < PyBytes_Size(steps) / 4 && goes_on(&w, 0); i++)
		put_step(&w, step[i]);
	size_t middle = w.out.used;
	step = (const int32_t *)PyBytes_AsString(externs);
	for (Py_ssize_t i = 0; i < PyBytes_Size(externs) / 4 && goes_on(&w, 0); i++)
		put_extern(&w, step[i]);
	spend(&w, w.out.used);
	PyMem_Free(w.number);
	PyMem_Free(w.layouts);
	Py_XDECREF(w.tags);
	Py_XDECREF(w.idents);
	PyObject *text = taken(&w.out, w.given_up && !w.out.failed);
	return text ? Py_BuildValue("Nn", text, (Py_ssize_t)middle) : NULL;
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
	{"header", (PyCFunction)Table_header, METH_VARARGS, NULL},
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
	{"named", named, METH_VARARGS, NULL},
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
