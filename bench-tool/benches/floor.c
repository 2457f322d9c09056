/* The floor under a generator on one thread: what the system takes for sending requests and reading their replies, with next to nothing around it.
 *
 *     floor closed PORT COUNT PIPELINE set|get     50 clients; each sends a batch and, when all bytes of its replies are there, the next one
 *     floor open PORT COUNT RATE                   GET at even times: sleep until it is due, send, sleep until the reply is there, read
 *
 * Replies are counted as bytes and not looked at, so every key has to be there: key:10000 to key:99999 with values of 64 bytes. Nothing is measured but by whoever
 * starts it. The open loop prints how late it sent, in microseconds: median, 90th and 99th percentile. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { CLIENTS = 50, EVENTS = 64, KEY = 5, ROOM = 1 << 18, ALARM = CLIENTS };

static int fds[CLIENTS], poll_fd;
static char room[ROOM];

static void die(const char *what) {
    perror(what);
    exit(2);
}

static void watch(int fd, unsigned what) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u32 = what};
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event) != 0) die("epoll_ctl");
}

static void connect_all(unsigned short port) {
    struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    poll_fd = epoll_create1(0);
    for (unsigned i = 0; i < CLIENTS; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(fds[i], (struct sockaddr *)&there, sizeof there) != 0) die("connect");
        setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        watch(fds[i], i);
    }
}

/* Other digits for the key of a request. */
static void draw(char *key) {
    static unsigned long state = 88172645463325252UL;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    unsigned number = 10000 + state % 90000;
    for (int i = KEY; i-- > 0; number /= 10) key[i] = '0' + number % 10;
}

static void closed(long count, int pipeline, int is_set) {
    char one[256];
    int length = is_set ? sprintf(one, "*3\r\n$3\r\nSET\r\n$9\r\nkey:00000\r\n$64\r\n%064d\r\n", 7)
                        : sprintf(one, "*2\r\n$3\r\nGET\r\n$9\r\nkey:00000\r\n");
    long key = strstr(one, "key:") + 4 - one, reply = is_set ? 5 : 71, sent = 0, done = 0, left[CLIENTS] = {0};
    char *batch = malloc((size_t)length * pipeline);
    for (int i = 0; i < pipeline; i++) memcpy(batch + i * length, one, length);
    struct epoll_event events[EVENTS];
    int ready = CLIENTS;
    for (int i = 0; i < CLIENTS; i++) events[i].data.u32 = i;
    for (;;) {
        for (int at = 0; at < ready; at++) {
            unsigned client = events[at].data.u32;
            if (left[client] > 0) {
                long got = recv(fds[client], room, sizeof room, MSG_DONTWAIT);
                if (got <= 0 || got > left[client]) die("recv");
                left[client] -= got;
                if (left[client] > 0) continue;
                done += pipeline;
            }
            if (sent >= count) continue;
            for (int i = 0; i < pipeline; i++) draw(batch + i * length + key);
            if (send(fds[client], batch, (size_t)length * pipeline, MSG_NOSIGNAL) != (long)length * pipeline) die("send");
            sent += pipeline;
            left[client] = reply * pipeline;
        }
        if (done >= sent) break;
        ready = epoll_wait(poll_fd, events, EVENTS, -1);
    }
}

static long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000L + time.tv_nsec;
}

static int compare(const void *a, const void *b) {
    long x = *(const long *)a, y = *(const long *)b;
    return (x > y) - (x < y);
}

static void open_loop(long count, long rate) {
    char request[] = "*2\r\n$3\r\nGET\r\n$9\r\nkey:00000\r\n";
    long *late = malloc(count * sizeof *late), start = now() + 1000000;
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    watch(timer, ALARM);
    for (long i = 0; i < count; i++) {
        long due = start + i * (1000000000L / rate);
        struct itimerspec at = {.it_value = {due / 1000000000L, due % 1000000000L}};
        if (timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL) != 0) die("timerfd_settime");
        while (now() < due) {
            struct epoll_event events[EVENTS];
            int ready = epoll_wait(poll_fd, events, EVENTS, -1);
            for (int at = 0; at < ready; at++)
                if (events[at].data.u32 != ALARM) recv(fds[events[at].data.u32], room, sizeof room, MSG_DONTWAIT);
        }
        late[i] = now() - due;
        draw(request + sizeof request - 3 - KEY);
        if (send(fds[i % CLIENTS], request, sizeof request - 1, MSG_NOSIGNAL) < 0) die("send");
    }
    qsort(late, count, sizeof *late, compare);
    printf("%ld %ld %ld\n", late[count / 2] / 1000, late[count * 9 / 10] / 1000, late[count * 99 / 100] / 1000);
}

int main(int count, char **words) {
    if (count == 6 && strcmp(words[1], "closed") == 0) {
        connect_all(atoi(words[2]));
        closed(atol(words[3]), atoi(words[4]), strcmp(words[5], "set") == 0);
    } else if (count == 5 && strcmp(words[1], "open") == 0) {
        connect_all(atoi(words[2]));
        open_loop(atol(words[3]), atol(words[4]));
    } else {
        fprintf(stderr, "floor closed PORT COUNT PIPELINE set|get, or floor open PORT COUNT RATE\n");
        return 2;
    }
    return 0;
}
