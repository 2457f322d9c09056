/* The floor under a server on one thread: whatever is read is one request, and every request has the same answer. Nothing is parsed, and there is no data.
 *
 *     constant --port PORT ... LENGTH
 *
 * The answer is a bulk string of LENGTH bytes, or +OK where that is 0. What stands between is ignored, so that it is started as a server is. One request
 * has to be one read: load without pipelining. */
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
            } else if (read(fd, room, ROOM) <= 0 || write(fd, answer, size) != (ssize_t)size) {
                close(fd);
            }
        }
    }
}
