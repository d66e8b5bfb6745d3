// The definitions without which nothing is judged any more, or nothing remembered.

/** By the names of their CustomResourceDefinitions. */
export const GUARDED_DEFINITIONS = [
  'modules.opendepot.defdev.io',
  'providers.opendepot.defdev.io',
  'versions.opendepot.defdev.io',
  'modulepolicies.sallyport.dev',
  'publishedversions.sallyport.dev',
] as const
