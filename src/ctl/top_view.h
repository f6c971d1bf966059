/*
 * The lines of "ampctl top": the document of top_sum() for people.
 */

#ifndef CTL_TOP_VIEW_H
#define CTL_TOP_VIEW_H


#include <stdio.h>
#include <jansson.h>


typedef enum {
    TOP_BY_TRAFFIC = 0,
    TOP_BY_REFUSALS,
    TOP_BY_LIMIT,
    TOP_BY_NAME,
    TOP_ORDERS
} top_order_e;


typedef struct {
    unsigned      width;            /* columns, 0: as wide as needed          */
    unsigned      height;           /* lines, 0: as many as needed            */
    unsigned      colour:1;
    unsigned      screen:1;         /* lines end as on a terminal in raw mode */
    top_order_e   order;
    const char   *filter;           /* part of a tenant's id or of a problem's
                                       name; "": all                          */
    const char   *foot;             /* the last line, or NULL                 */
} top_view_t;


/*
 * Writes the lines.  Of names and messages only printable ASCII is written, all
 * else is "?".
 */

void top_view(const top_view_t *view, const json_t *doc, FILE *out);


#endif /* CTL_TOP_VIEW_H */
