'use strict';
// An encoder of packets that does not make JSON of what came as JSON.

const probe = ['a', { b: [null, 'é\0'] }];

// Socket.IO's own without a replacer; an application may have another, and then encodes as that does.
function isStandard(encoder) {
  try {
    if (encoder.replacer !== undefined) return false;
    const encoded = encoder.encode({ type: 2, data: probe, nsp: '/x' });
    return encoded.length === 1 && encoded[0] === `2/x,${JSON.stringify(probe)}`;
  } catch {
    return false;
  }
}

/** The encoder, with offer(packet, json): json is the text of the packet's arguments, if that packet is to be encoded next. */
function readyEncoder(encoder) {
  const knows = isStandard(encoder);
  let packet;
  let json;
  return Object.create(encoder, {
    offer: {
      value(offered, text) {
        packet = offered;
        json = text;
      },
    },
    encode: {
      value(given) {
        if (given !== packet || !knows) return encoder.encode(given);
        packet = undefined;
        return [`2${given.nsp === '/' ? '' : `${given.nsp},`}${json}`];
      },
    },
  });
}

module.exports = { readyEncoder };
