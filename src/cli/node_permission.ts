// What Node's permission model refused (`node --permission`, NODE_OPTIONS), said with the file and the flag: its own
// message names neither the one nor where the other would have to be written.

const FLAGS: Readonly<Record<string, string>> = {
  FileSystemRead: '--allow-fs-read',
  FileSystemWrite: '--allow-fs-write',
  ChildProcess: '--allow-child-process',
  WorkerThreads: '--allow-worker',
}

/** `undefined` when the error is another one. */
export function refusedByNode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || error.code !== 'ERR_ACCESS_DENIED') return undefined
  const permission = 'permission' in error ? String(error.permission) : ''
  const resource = 'resource' in error ? String(error.resource) : ''
  const flag = FLAGS[permission]
  if (flag === undefined) return `${error.message} (${permission})`
  const isFile = flag.startsWith('--allow-fs')
  const what = resource === '' ? 'this' : resource
  return `Node's permissions, which this process was started with, do not allow ${what}\n  -> if it should be allowed, add ${flag}${isFile ? `=${resource}` : ''} to NODE_OPTIONS, or where --permission stands`
}
