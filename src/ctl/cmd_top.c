/*
 * ampctl top: what the gateways do now, in a terminal.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ampctl.h"
#include "top_sum.h"
#include "top_terminal.h"
#include "top_view.h"


#define TOP_REFRESH  1000           /* ms                                     */
#define TOP_READ     1000           /* ms for the status of one gateway       */
#define TOP_FILTER   64


enum {
    TOP_ONCE = CTL_OPTION,
    TOP_SORT,
    TOP_ONLY
};


static const ctl_option_t  top_options[] = {

    { TOP_ONCE, "once", NULL, "print the figures once, as plain text", 0 },

    { TOP_SORT, "sort", "BY",
      "tenants by traffic, refusals, limit or name; default: traffic", 0 },

    { TOP_ONLY, "filter", "TEXT",
      "tenants whose id, or why they are refused, has this text", 0 },

    { 0, NULL, NULL, NULL, 0 }
};


typedef struct {
    ctl_t           *ctl;
    top_gateways_t   gateways;
    top_view_t       view;
    char             filter[TOP_FILTER];
    unsigned         typing:1;      /* keys are the filter's text             */
    unsigned         paused:1;
    unsigned         lost:1;        /* the registry cannot be read: the error */
} top_t;


static const char *const  top_orders[] = { "traffic", "refusals", "limit",
                                           "name" };


static int
top_order(top_t *top)
{
    int          i;
    const char  *text;

    text = ctl_value(top->ctl, TOP_SORT);

    for (i = 0; i < TOP_ORDERS; i++) {
        if (text == NULL || strcmp(text, top_orders[i]) == 0) {
            top->view.order = (top_order_e) i;
            return 0;
        }
    }

    ctl_error(&top->ctl->error, CTL_USAGE, "usage",
              "tenants cannot be sorted by \"%s\"", text);

    return ctl_remedy(&top->ctl->error, "give traffic, refusals, limit or "
                      "name, e.g. --sort refusals");
}


static int
top_look(top_t *top)
{
    ctl_t  *ctl = top->ctl;

    return top_read(&top->gateways, ctl->store,
                    ctl->timeout < TOP_READ ? ctl->timeout : TOP_READ,
                    &ctl->error);
}


/* Rates of tenants need two answers. */

static int
top_once(top_t *top)
{
    json_t  *doc;

    if (top_look(top) != 0) {
        return -1;
    }

    usleep(TOP_REFRESH * 1000);

    if (top_look(top) != 0) {
        return -1;
    }

    doc = top_sum(&top->gateways);

    if (top->ctl->json) {
        return output_json(doc);
    }

    top_view(&top->view, doc, stdout);
    json_decref(doc);

    return CTL_DONE;
}


static void
top_draw(top_t *top, const json_t *doc)
{
    char         *text, foot[160];
    FILE         *out;
    size_t        len;
    const char   *colour;

    out = open_memstream(&text, &len);
    if (out == NULL) {
        abort();
    }

    if (top->typing) {
        snprintf(foot, sizeof(foot), "filter: %s_  Enter: keep  Esc: all",
                 top->filter);

    } else {
        snprintf(foot, sizeof(foot),
                 "%sq quit  s sort  / filter  p pause%s%.90s",
                 top->paused ? "PAUSED  " : "",
                 top->lost ? "  registry: " : "",
                 top->lost ? top->ctl->error.message : "");
    }

    colour = getenv("NO_COLOR");

    top_terminal_size(&top->view.width, &top->view.height);
    top->view.screen = 1;
    top->view.colour = (colour == NULL || *colour == '\0');
    top->view.foot = foot;

    top_view(&top->view, doc, out);
    top->view.foot = NULL;
    fclose(out);

    /* a line feed in the last line would scroll */

    top_terminal_draw(text, len != 0 && text[len - 1] == '\n' ? len - 1 : len);
    free(text);
}


/* A key of the filter's text. */

static void
top_type(top_t *top, int key)
{
    size_t  len;

    len = strlen(top->filter);

    switch (key) {

    case '\r':
    case '\n':
        top->typing = 0;
        return;

    case '\033':
        top->filter[0] = '\0';
        top->typing = 0;
        return;

    case '\b':
    case 0x7f:
        if (len != 0) {
            top->filter[len - 1] = '\0';
        }

        return;

    default:
        if (key >= 0x20 && key <= 0x7e && len < TOP_FILTER - 1) {
            top->filter[len] = (char) key;
            top->filter[len + 1] = '\0';
        }
    }
}


/* 1: it is time to end. */

static int
top_press(top_t *top, int key)
{
    if (key == TOP_KEY_END) {
        return 1;
    }

    if (top->typing && key > 0) {
        top_type(top, key);
        return 0;
    }

    switch (key) {

    case 'q':
    case 'Q':
        return 1;

    case 's':
        top->view.order = (top->view.order + 1) % TOP_ORDERS;
        return 0;

    case '/':
    case 'f':
        top->typing = 1;
        return 0;

    case 'p':
    case ' ':
        top->paused = !top->paused;
        return 0;

    case '\033':
        top->filter[0] = '\0';
    }

    return 0;
}


static int
top_follow(top_t *top)
{
    int       key;
    json_t   *doc;
    int64_t   next;

    if (top_look(top) != 0) {
        return -1;
    }

    if (top_terminal_begin() != 0) {
        return ctl_error(&top->ctl->error, CTL_REFUSED, "terminal",
                         "the terminal cannot be set");
    }

    doc = top_sum(&top->gateways);
    next = connection_clock() + TOP_REFRESH;

    for ( ;; ) {
        top_draw(top, doc);

        key = top_terminal_key(next);

        if (top_press(top, key)) {
            break;
        }

        if (connection_clock() < next) {
            continue;
        }

        next = connection_clock() + TOP_REFRESH;

        if (!top->paused) {
            top->lost = (top_look(top) != 0);
            json_decref(doc);
            doc = top_sum(&top->gateways);
        }
    }

    json_decref(doc);
    top_terminal_end();

    return CTL_DONE;
}


static int
top_run(ctl_t *ctl)
{
    int          rc;
    top_t        top;
    const char  *filter;

    memset(&top, 0, sizeof(top));
    top.ctl = ctl;
    top.view.filter = top.filter;

    filter = ctl_value(ctl, TOP_ONLY);
    snprintf(top.filter, sizeof(top.filter), "%s", filter ? filter : "");

    if (top_order(&top) != 0 || ctl_store(ctl) == NULL) {
        return -1;
    }

    rc = ctl->json || ctl_value(ctl, TOP_ONCE) != NULL
         || !top_terminal_usable() ? top_once(&top) : top_follow(&top);

    top_read_free(&top.gateways);

    return rc;
}


const ctl_command_t  ctl_top_commands[] = {

    { "top", NULL, "", "show what all gateways do now",
      "Reads the status of each gateway in the registry, once a second, and\n"
      "adds up: requests, latency, refusals and tenants of the last minute,\n"
      "the limit of each tenant that is nearest, Ampersand and Redis. A\n"
      "gateway that cannot be reached from here is named, with what to do.\n"
      "Keys: q quit, s sort, / filter, p pause. With --once, with --json and\n"
      "without a terminal the figures are printed once. NO_COLOR is heeded.",
      top_options, top_run },

    { NULL, NULL, NULL, NULL, NULL, NULL, NULL }
};
