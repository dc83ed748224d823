// Work on a thread of libuv's pool whose end is a promise in JavaScript.
#ifndef TIDEGATE_PROMISE_WORKER_H
#define TIDEGATE_PROMISE_WORKER_H

#include <memory>
#include <napi.h>
#include <string>
#include <utility>

namespace tidegate
{

// `Work` has
//   std::string Run();                  on the thread; what went wrong, empty when nothing did
//   Napi::Value Result(Napi::Env env);  afterwards, what the promise resolves to
template <typename Work> class PromiseWorker : public Napi::AsyncWorker
{
      public:
	static Napi::Promise Queue(Napi::Env env, std::unique_ptr<Work> work)
	{
		// node-addon-api deletes it once the promise is settled.
		auto *worker = new PromiseWorker(env, std::move(work));
		Napi::Promise promise = worker->deferred_.Promise();

		worker->Napi::AsyncWorker::Queue();
		return promise;
	}

      private:
	PromiseWorker(Napi::Env env, std::unique_ptr<Work> work)
	    : Napi::AsyncWorker(env), work_(std::move(work)), deferred_(Napi::Promise::Deferred::New(env))
	{
	}
	void Execute() override
	{
		std::string problem = work_->Run();

		if (!problem.empty())
			SetError(problem);
	}
	void OnOK() override { deferred_.Resolve(work_->Result(Env())); }
	void OnError(const Napi::Error &error) override { deferred_.Reject(error.Value()); }

	std::unique_ptr<Work> work_;
	Napi::Promise::Deferred deferred_;
};

} // namespace tidegate

#endif
