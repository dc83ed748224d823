// A mutex whose holder runs as soon as whoever waits for it would: an urgent thread is not held up by an
// ordinary one that lost its CPU to others.
#ifndef TIDEGATE_INHERITING_MUTEX_H
#define TIDEGATE_INHERITING_MUTEX_H

#include <pthread.h>

namespace tidegate
{

class InheritingMutex
{
      public:
	InheritingMutex()
	{
		pthread_mutexattr_t attributes;

		pthread_mutexattr_init(&attributes);
		pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
		pthread_mutex_init(&mutex_, &attributes);
		pthread_mutexattr_destroy(&attributes);
	}
	~InheritingMutex() { pthread_mutex_destroy(&mutex_); }
	InheritingMutex(const InheritingMutex &) = delete;
	InheritingMutex &operator=(const InheritingMutex &) = delete;

	void lock() { pthread_mutex_lock(&mutex_); }
	void unlock() { pthread_mutex_unlock(&mutex_); }

      private:
	pthread_mutex_t mutex_;
};

} // namespace tidegate

#endif
