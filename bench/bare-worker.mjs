// A worker of the SDK alone, with a bundle that was made before and one activity: `node bare-worker.mjs ADDRESS BUNDLE`.
import { NativeConnection, Worker } from '@temporalio/worker'

const [, , address, codePath] = process.argv
const connection = await NativeConnection.connect({ address })
const worker = await Worker.create({
  connection,
  taskQueue: 'bare',
  workflowBundle: { codePath },
  activities: { idle: async () => {} },
})
const end = worker.run()
console.log('Worker on task queue')
await end
