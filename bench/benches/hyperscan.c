/* Eight rules over a file of fields with Hyperscan or Vectorscan, in block mode, field by field.
 *
 * usage: hyperscan FILE SECONDS
 * FILE holds fields, each a 32-bit little-endian length and so many bytes. Prints two lines, "ends" and "starts", each with
 * bytes per second and the number of matches: the first reports where matches end, the second where they begin, which is
 * what redaction needs. No validation is done. */

#include <hs/hs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The forms that our eight detectors look for, as far as expressions can say them. */
static const char *const rules[] = {
    /* SSN */
    "\\b\\d{3}[-. ]\\d{2}[-. ]\\d{4}\\b|\\b\\d{9}\\b|\\b\\d{3}-\\d{6}\\b|[xX*#]{3}-[xX*#]{2}-\\d{4}\\b",
    /* telephone */
    "(\\+?1[ .-]?)?\\(?[2-9]\\d{2}\\)?[ ./-]?\\d{3}[ .-]?\\d{4}\\b|\\+\\d{1,3}([ .()/-]{0,2}\\d{1,5}){2,5}|"
    "\\b0\\d{1,4}[ .()-]{1,2}\\d{2,4}([ .-]?\\d{2,4}){1,3}\\b",
    /* mail */
    "[A-Za-z0-9._%+-]+(@|%40)[A-Za-z0-9.-]+\\.[A-Za-z]{2,}",
    /* card */
    "\\b\\d{4}[ .-]\\d{4}[ .-]\\d{4}([ .-]\\d{1,7})?\\b|\\b\\d{12,19}\\b|\\b\\d{4}[ -]\\d{6}[ -]\\d{4,5}\\b",
    /* MRN */
    "(?i)\\b(mrn|medrec|medical record|chart|emr|accession|(patient|record|visit|encounter|hospital)s? "
    "(id|no|num|number))[a-z .]{0,16}[:#= ]{1,3}[a-z]{0,4}-?\\d{4,12}\\b",
    /* date */
    "(?i)\\b\\d{1,2}[/.-]\\d{1,2}[/.-]\\d{2,4}\\b|\\b\\d{4}[/.-]\\d{1,2}[/.-]\\d{1,2}\\b|\\b(19|20)\\d{6}\\b|"
    "\\b(on|seen|since|until|admitted|discharged|date|born) \\d{1,2}/\\d{1,2}\\b|\\b\\d{1,2}/(19|20)\\d{2}\\b|"
    "\\b(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}[ .,-]{1,2}\\d{1,2}(st|nd|rd|th)?\\b|"
    "\\b\\d{1,2}(st|nd|rd|th)?[ -](of )?(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}\\b",
    /* IP */
    "(?i)\\b\\d{1,3}(\\.\\d{1,3}){3}\\b|([0-9a-f]{0,4}:){2,7}[0-9a-f]{1,4}\\b",
    /* URL */
    "(?i)[a-z][a-z0-9+.-]{1,15}://[^\\s]{2,}|\\bwww\\.[^\\s]{4,}|"
    "\\b[a-z0-9-]+\\.(com|org|net|edu|gov|info|io|app|dev|uk|au|nz|nl|fi|dk|pl|ru|cn|jp|kr|tw|eu)\\b",
};
enum { RULES = sizeof rules / sizeof *rules };

static int found(unsigned int id, unsigned long long from, unsigned long long to, unsigned int flags, void *count) {
    (void)id, (void)from, (void)to, (void)flags;
    ++*(unsigned long long *)count;
    return 0;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: hyperscan FILE SECONDS\n");
        return 2;
    }
    FILE *file = fopen(argv[1], "rb");
    if (!file) {
        perror(argv[1]);
        return 1;
    }
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    char *bytes = malloc(size);
    if (!bytes || fread(bytes, 1, size, file) != (size_t)size) {
        fprintf(stderr, "cannot read %s\n", argv[1]);
        return 1;
    }
    fclose(file);
    double seconds = atof(argv[2]);
    for (int starts = 0; starts < 2; starts++) {
        unsigned flags[RULES], ids[RULES];
        for (unsigned i = 0; i < RULES; i++) {
            flags[i] = starts ? HS_FLAG_SOM_LEFTMOST : 0;
            ids[i] = i;
        }
        hs_database_t *database = NULL;
        hs_compile_error_t *error = NULL;
        if (hs_compile_multi(rules, flags, ids, RULES, HS_MODE_BLOCK, NULL, &database, &error) != HS_SUCCESS) {
            fprintf(stderr, "rule %d: %s\n", error->expression, error->message);
            return 1;
        }
        hs_scratch_t *scratch = NULL;
        if (hs_alloc_scratch(database, &scratch) != HS_SUCCESS) {
            fprintf(stderr, "no memory\n");
            return 1;
        }
        unsigned long long matches = 0, scanned = 0;
        double began = now();
        do {
            matches = 0;
            for (long at = 0; at + 4 <= size;) {
                uint32_t length;
                memcpy(&length, bytes + at, 4);
                at += 4;
                hs_scan(database, bytes + at, length, 0, scratch, found, &matches);
                at += length;
                scanned += length;
            }
        } while (now() - began < seconds);
        printf("%s %.0f %llu\n", starts ? "starts" : "ends", scanned / (now() - began), matches);
        hs_free_scratch(scratch);
        hs_free_database(database);
    }
    printf("version %s\n", hs_version());
    return 0;
}
