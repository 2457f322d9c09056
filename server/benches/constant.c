/* The floor under a server on one thread: every request has the same answer. Nothing is parsed but that a request begins with a star, and there is no data.
 *
 *     constant --port PORT ... LENGTH
 *
 * The answer is a bulk string of LENGTH bytes, or +OK where that is 0. What stands between is ignored, so that it is started as a server is. Keys
 * and values must have no stars in them. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { EVENTS = 256, ROOM = 16384, LONGEST = 8192 };

static void die(const char *what) {
    perror(what);
    exit(2);
}

static void watch(int epoll, int fd) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.fd = fd};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) die("epoll_ctl");
}

static int listen_on(unsigned short port) {
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&here, sizeof here) != 0 || listen(fd, 511) != 0) die("listen");
    return fd;
}

/* Answers what has been read; whether the connection goes on. Answers that do not fit the socket are given up: a floor need not wait for who does not read. */
static int answer_all(int fd, const char *room, ssize_t length, const char *answer, size_t size) {
    static char answers[1 << 20];
    size_t requests = 0, at = 0;
    for (ssize_t i = 0; i < length; i++) requests += room[i] == '*';
    for (; requests > 0 && at + size <= sizeof answers; requests--, at += size) memcpy(answers + at, answer, size);
    return requests == 0 && write(fd, answers, at) == (ssize_t)at;
}

int main(int count, char **words) {
    static char room[ROOM], answer[LONGEST + 32] = "+OK\r\n";
    int length = count > 3 ? atoi(words[count - 1]) : -1;
    if (length < 0 || length > LONGEST) {
        fprintf(stderr, "constant --port PORT ... LENGTH\n");
        return 2;
    }
    size_t size = strlen(answer);
    if (length > 0) {
        int head = sprintf(answer, "$%d\r\n", length);
        memset(answer + head, 'v', length);
        memcpy(answer + head + length, "\r\n", 2);
        size = head + length + 2;
    }
    int listener = listen_on((unsigned short)atoi(words[2])), epoll = epoll_create1(0), one = 1;
    watch(epoll, listener);
    struct epoll_event events[EVENTS];
    for (;;) {
        int ready = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                    watch(epoll, fd);
                }
            } else {
                ssize_t length = ROOM;
                while (length == ROOM) {
                    length = read(fd, room, ROOM);
                    if (length <= 0 || !answer_all(fd, room, length, answer, size)) {
                        close(fd);
                        length = 0;
                    }
                }
            }
        }
    }
}
