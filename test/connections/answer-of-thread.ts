/** What a script says first that runs in a worker thread. */
import { Worker } from 'node:worker_threads'

/** @param script of TypeScript, which posts one message. */
export async function answerOfThread(script: URL): Promise<unknown> {
  const load = `import('tsx/esm/api').then(({ register }) => (register(), import(${JSON.stringify(script.href)})))`
  const worker = new Worker(load, { eval: true })
  const answer = await new Promise((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
  })
  await worker.terminate()
  return answer
}
