// Who besides the broker can read a file with a secret, by its permission bits.

const GROUP_READ = 0o040
const WORLD_READ = 0o004

/** What the system says of a file, and who we are. */
type FileOwnership = { readonly mode: number; readonly uid: number; readonly gid: number }
export type OwnIds = { readonly uid: number; readonly groups: readonly number[] }

/**
 * The mode to judge a file by. A file of another user that is ours to read by its group was given to us that way: it is how a
 * Kubernetes Secret comes to a process that is not root (fsGroup makes 0400 into 0440). The group is no stranger then.
 */
export function modeForUs(file: FileOwnership, own: OwnIds): number {
  const isGiven = file.uid !== own.uid && own.uid !== 0 && own.groups.includes(file.gid)
  return isGiven ? file.mode & ~GROUP_READ : file.mode
}

type PrivacyProblem = {
  /** Every user of the machine, not only the group of the file. */
  readonly isWorld: boolean
  readonly message: string
  readonly wayOut: string
}

/** `mode`: permission bits, `undefined` when they are not known. `file` is only named. */
export function privacyProblem(file: string, mode: number | undefined): PrivacyProblem | undefined {
  if (mode === undefined || (mode & (GROUP_READ | WORLD_READ)) === 0) return undefined
  const isWorld = (mode & WORLD_READ) !== 0
  const digits = (mode & 0o777).toString(8).padStart(4, '0')
  const who = isWorld ? 'every user of this machine' : 'its whole group'
  return {
    isWorld,
    message: `${JSON.stringify(file)} can be read by ${who} (mode ${digits})`,
    wayOut: 'chmod 600, as the user that runs the broker; for a Kubernetes Secret defaultMode: 0400',
  }
}
