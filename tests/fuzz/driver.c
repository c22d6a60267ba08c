// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Runs a libFuzzer target without libFuzzer: every file of a corpus, then for
 * some seconds mutations of them, always the same ones.
 *
 * usage: TARGET SECONDS FILE...
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_BYTES	4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

struct seed {
	uint8_t data[MAX_BYTES];
	size_t bytes;
};

static uint64_t random_state = 0x9e3779b97f4a7c15ULL;

static uint32_t next_random(uint32_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 32) % below;
}

static void read_seed(const char *path, struct seed *seed)
{
	FILE *file = fopen(path, "rb");

	if (!file) {
		perror(path);
		exit(EXIT_FAILURE);
	}
	seed->bytes = fread(seed->data, 1, MAX_BYTES, file);
	fclose(file);
}

static void mutate(struct seed *seed, const struct seed *other)
{
	static const uint8_t edges[] = { 0, 1, 0x7f, 0x80, 0xfe, 0xff };
	size_t at = seed->bytes ? next_random((uint32_t)seed->bytes) : 0;
	size_t part;

	switch (next_random(5)) {
	case 0:
		seed->data[at] ^= (uint8_t)(1U << next_random(8));
		break;
	case 1:
		seed->data[at] = edges[next_random(sizeof(edges))];
		break;
	case 2:
		seed->bytes = at;
		break;
	case 3:
		part = other->bytes < MAX_BYTES - at ? other->bytes :
						       MAX_BYTES - at;
		memcpy(seed->data + at, other->data, part);
		seed->bytes = at + part;
		break;
	case 4:
		if (seed->bytes < MAX_BYTES)
			seed->data[seed->bytes++] = (uint8_t)next_random(256);
		break;
	}
}

int main(int argc, char **argv)
{
	struct seed *seeds, work;
	uint32_t nr = (uint32_t)(argc - 2), i, times;
	unsigned long runs = 0;
	time_t end;

	if (argc < 3) {
		fprintf(stderr, "usage: %s SECONDS FILE...\n", argv[0]);
		return 2;
	}
	seeds = calloc(nr, sizeof(*seeds));
	for (i = 0; i < nr; i++) {
		read_seed(argv[i + 2], &seeds[i]);
		LLVMFuzzerTestOneInput(seeds[i].data, seeds[i].bytes);
	}
	end = time(NULL) + atoi(argv[1]);
	while (time(NULL) < end) {
		work = seeds[next_random(nr)];
		for (times = next_random(8) + 1; times; times--)
			mutate(&work, &seeds[next_random(nr)]);
		LLVMFuzzerTestOneInput(work.data, work.bytes);
		runs++;
	}
	printf("%u seeds, %lu mutations\n", nr, runs);
	free(seeds);
	return 0;
}
