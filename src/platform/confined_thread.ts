// What a thread of ours may touch: the files of its own code, to read, and nothing else. Node's permission model, which
// holds for a thread by itself, also where the process has all rights. Without these flags a thread has the rights of the
// machine's user even in a process that was started with `--permission`, when its `execArgv` and `env` are empty.
import { fileURLToPath } from 'node:url'

/** `execArgv` of a Worker whose code, all of it, lies below the folder. Its `env` stays empty. */
export function confinedTo(folder: URL): readonly string[] {
  return ['--permission', `--allow-fs-read=${fileURLToPath(folder)}`]
}
