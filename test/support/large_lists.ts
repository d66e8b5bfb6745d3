// Reviews of lists as long as a request may be: what is stored is the recorded Module's, with other versions.
import { changedReview } from './admission_reviews.ts'
import type { RecordedReview } from './admission_reviews.ts'

/** `1.0.0`, `1.1.0` and so on. */
export function versions(count: number, prefix = ''): Listed {
  return Array.from({ length: count }, (_, index) => ({ version: `${prefix}1.${index}.0` }))
}

export type Listed = readonly { readonly version: string }[]

/** With another label, so that it is a change whatever becomes of the list. */
export function relisted(before: Listed, after: Listed): RecordedReview {
  return changedReview('update-jsonpatch-append', ({ request }) => {
    Object(request.oldObject).spec.versions = before
    Object(request.object).spec.versions = after
    Object(request.object).metadata.labels = { team: 'net' }
  })
}

export function created(listed: Listed): RecordedReview {
  return changedReview('create-ssa', ({ request }) => {
    Object(request.object).spec.versions = listed
  })
}

/** For eight systems of eight architectures. */
export function createdProvider(count: number): RecordedReview {
  return changedReview('create-ssa', ({ request }) => {
    request['kind'] = { group: 'opendepot.defdev.io', version: 'v1alpha1', kind: 'Provider' }
    request['resource'] = { group: 'opendepot.defdev.io', version: 'v1alpha1', resource: 'providers' }
    request.object = {
      apiVersion: 'opendepot.defdev.io/v1alpha1',
      kind: 'Provider',
      metadata: { name: 'aws', namespace: 'infra', uid: 'u-1' },
      spec: {
        providerConfig: { name: 'aws', operatingSystems: eight('os'), architectures: eight('arch') },
        versions: versions(count),
      },
    }
    request['name'] = 'aws'
  })
}

function eight(name: string): readonly string[] {
  return Array.from({ length: 8 }, (_, index) => `${name}${index}`)
}
