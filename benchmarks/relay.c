/* relay PORT: the floor under every broker. Bytes of publishers are copied to subscribers, and nobody looks at them.
 *
 * Only the hand-shake is played: CONNECT is answered with CONNACK, SUBSCRIBE with SUBACK. With the first bytes of
 * anything else the load has begun. Then, by the order in which they came, each publisher has its subscriber if there
 * are as many of these as of those, and else all subscribers get everything.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST = 65536, SIZE = 1 << 18 };

static int connected[MOST], subscribed[MOST], connections;
static int shaken[MOST], is_subscriber[MOST], target[MOST]; /* by file descriptor */
static int subscribers, begun, paired;
static char buffer[SIZE];

static void copy(int to, const char *data, size_t count)
{
    while (count) {
        ssize_t done = send(to, data, count, MSG_NOSIGNAL);
        if (done >= 0) {
            data += done;
            count -= (size_t)done;
        } else if (errno == EAGAIN) {
            struct pollfd room = {.fd = to, .events = POLLOUT};
            poll(&room, 1, 1000);
        } else {
            return;
        }
    }
}

static void begin(void)
{
    int at = 0, open = 0;
    for (int n = 0; n < connections; n++)
        open += connected[n] >= 0;
    paired = open == 2 * subscribers;
    for (int n = 0; n < connections; n++)
        if (connected[n] >= 0 && !is_subscriber[connected[n]] && paired)
            target[connected[n]] = subscribed[at++];
    begun = 1;
}

static void take(int from, ssize_t count)
{
    unsigned char first = (unsigned char)buffer[0];
    if (!shaken[from] && first == 0x10) {
        shaken[from] = 1;
        copy(from, "\x20\x02\0\0", 4);
    } else if (!begun && first == 0x82) {
        int at = 1; /* The packet identifier stands behind the length, which has as many bytes as it needs. */
        while (buffer[at] & 0x80)
            at++;
        int topics = 0;
        for (ssize_t n = at + 3; n + 2 < count; topics++)
            n += 3 + (((unsigned char)buffer[n] << 8) | (unsigned char)buffer[n + 1]);
        char answer[512] = {(char)0x90};
        int head = topics + 2 < 128 ? 2 : 3;
        answer[1] = (char)(head == 2 ? topics + 2 : ((topics + 2) & 0x7f) | 0x80);
        if (head == 3)
            answer[2] = (char)((topics + 2) >> 7);
        memcpy(answer + head, buffer + at + 1, 2);
        copy(from, answer, (size_t)(head + 2 + topics));
        is_subscriber[from] = 1;
        subscribed[subscribers++] = from;
    } else {
        if (!begun)
            begin();
        if (is_subscriber[from])
            return;
        if (paired)
            copy(target[from], buffer, (size_t)count);
        else
            for (int n = 0; n < subscribers; n++)
                copy(subscribed[n], buffer, (size_t)count);
    }
}

int main(int count, char **words)
{
    if (count != 2)
        return 2;
    int yes = 1, listener = socket(AF_INET, SOCK_STREAM, 0), waiting = epoll_create1(0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(words[1]))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1024))
        return 1;
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[256];
    epoll_ctl(waiting, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int ready = epoll_wait(waiting, events, 256, -1);
        for (int n = 0; n < ready; n++) {
            int from = events[n].data.fd;
            if (from == listener) {
                event.data.fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
                if (event.data.fd < 0 || event.data.fd >= MOST || connections == MOST)
                    continue;
                setsockopt(event.data.fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
                shaken[event.data.fd] = is_subscriber[event.data.fd] = 0;
                connected[connections++] = event.data.fd;
                epoll_ctl(waiting, EPOLL_CTL_ADD, event.data.fd, &event);
                continue;
            }
            ssize_t got = recv(from, buffer, SIZE, 0);
            if (got > 0) {
                take(from, got);
            } else if (got == 0 || errno != EAGAIN) {
                close(from);
                for (int each = 0; each < connections; each++)
                    if (connected[each] == from)
                        connected[each] = -1;
            }
        }
    }
}
