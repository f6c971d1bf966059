#include "amp_usage.h"


/*
 * Days of a proleptic Gregorian calendar whose years begin in March, so that
 * the leap day is the last one of a year; 719468 are from its 0000-03-01 to
 * 1970-01-01.
 */

#define AMP_USAGE_ERA    146097     /* days of 400 years                      */
#define AMP_USAGE_EPOCH  719468


static void
amp_usage_digits(unsigned char *p, unsigned n, unsigned value)
{
    while (n-- != 0) {
        p[n] = (unsigned char) ('0' + value % 10);
        value /= 10;
    }
}


void
amp_usage_date(uint32_t day, unsigned char *date)
{
    unsigned  era, year, month;

    day += AMP_USAGE_EPOCH;
    era = day / AMP_USAGE_ERA;
    day %= AMP_USAGE_ERA;

    year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    day -= 365 * year + year / 4 - year / 100;
    month = (5 * day + 2) / 153;
    day -= (153 * month + 2) / 5;

    year += era * 400 + (month >= 10);
    month = month < 10 ? month + 3 : month - 9;

    amp_usage_digits(date, 4, year);
    date[4] = '-';
    amp_usage_digits(date + 5, 2, month);
    date[7] = '-';
    amp_usage_digits(date + 8, 2, day + 1);
}


int64_t
amp_usage_day(const unsigned char *date)
{
    unsigned       i, n[3], year, month, day;
    unsigned char  again[AMP_USAGE_DATE];

    n[0] = n[1] = n[2] = 0;

    for (i = 0; i < AMP_USAGE_DATE; i++) {

        if (i == 4 || i == 7) {
            if (date[i] != '-') {
                return -1;
            }

            continue;
        }

        if (date[i] < '0' || date[i] > '9') {
            return -1;
        }

        year = (i > 7) ? 2 : (i > 4);
        n[year] = n[year] * 10 + (date[i] - '0');
    }

    if (n[0] < 1970 || n[1] < 1 || n[1] > 12 || n[2] < 1) {
        return -1;
    }

    year = n[0] - (n[1] <= 2);
    month = (n[1] > 2) ? n[1] - 3 : n[1] + 9;
    day = year * 365 + year / 4 - year / 100 + year / 400
          + (153 * month + 2) / 5 + n[2] - 1 - AMP_USAGE_EPOCH;

    /* a month has no such day: its date is another one */

    amp_usage_date(day, again);

    for (i = 0; i < AMP_USAGE_DATE; i++) {
        if (again[i] != date[i]) {
            return -1;
        }
    }

    return day;
}
