/** How many of libuv's threads queries may occupy, so that DNS, files and token refresh still get one. */

const NODE_DEFAULT = 4
const SPARE = 2

/** @param env UV_THREADPOOL_SIZE counts only as it was when the process started. */
export function queryThreads(env: NodeJS.ProcessEnv): number {
  const size = Number(env['UV_THREADPOOL_SIZE'] ?? NODE_DEFAULT)
  return Math.max(1, (Number.isInteger(size) && size > 0 ? size : NODE_DEFAULT) - SPARE)
}
