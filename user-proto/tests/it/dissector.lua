-- Wireshark dissector of the user service's protocol. Generated from vectors/protocol.json by
-- `cargo test -p user-proto --test it -- --ignored bless`; do not edit.
--
--   wireshark -X lua_script:user_service.lua
--   tshark -X lua_script:user_service.lua -r traffic.pcap -O userservice
--
-- It dissects TCP port 3001. For another port, use "Decode As", or in tshark
-- `-d tcp.port==PORT,userservice`. Secrets are shown as their length only, unless the preference
-- "Show secrets" is set: `-o userservice.show_secrets:TRUE`.

local MESSAGES = {
    -- MESSAGES
}

local COMMON = {
    -- COMMON
}

local CODES = {
    -- CODES
}

-- Sizes of the kinds that have a fixed size.
local SIZES = {
    uuid = 16, key = 16, instant = 8, instant_ms = 8, seconds = 4, millis = 4, number = 4,
    error_code = 2, byte = 1, flag = 0,
}
local MIN_LENGTH, MAX_LENGTH = 5, 65535
local REPLY_BIT = 0x80

local proto = Proto("userservice", "User service protocol")
proto.prefs.show_secrets = Pref.bool("Show secrets", false, "Show passwords, codes and tokens")

local names = {}
for number, message in pairs(MESSAGES) do
    names[number] = message.name
end
local length_field = ProtoField.uint32("userservice.length", "Length")
local type_field = ProtoField.uint8("userservice.type", "Type", base.HEX, names)
local id_field = ProtoField.uint32("userservice.request_id", "Request id")
local message_field = ProtoField.string("userservice.name", "Message")
local tag_field = ProtoField.uint8("userservice.tag", "Unknown tag", base.HEX)
local malformed_field = ProtoField.string("userservice.malformed", "Malformed")

-- One filter for each name and kind: userservice.username, userservice.code and so on.
local fields, registered = {}, {
    length_field, type_field, id_field, message_field, tag_field, malformed_field,
}

local function register(list)
    for _, field in ipairs(list) do
        local key = field.name .. "/" .. field.kind
        if not fields[key] then
            local filter = "userservice." .. field.name
            -- The code of an error is a number, and an emailed code is text.
            if field.kind == "error_code" then
                filter = "userservice.error_code"
                fields[key] = ProtoField.uint16(filter, field.name, base.HEX, CODES)
            elseif field.kind == "uuid" then
                fields[key] = ProtoField.guid(filter, field.name)
            elseif field.kind == "instant" or field.kind == "instant_ms" then
                fields[key] = ProtoField.absolute_time(filter, field.name, base.UTC)
            elseif SIZES[field.kind] == 4 then
                fields[key] = ProtoField.uint32(filter, field.name)
            elseif field.kind == "byte" then
                fields[key] = ProtoField.uint8(filter, field.name)
            elseif field.kind == "key" or field.kind == "bytes" then
                fields[key] = ProtoField.bytes(filter, field.name)
            else
                fields[key] = ProtoField.string(filter, field.name)
            end
            registered[#registered + 1] = fields[key]
        end
        if field.rows then
            register(field.rows)
        end
    end
end
for _, message in pairs(MESSAGES) do
    register(message.fields)
end
register(COMMON)
proto.fields = registered

-- Raised for bytes that are not a valid message.
local function malformed(name)
    error({ malformed = name }, 0)
end

-- Adds a value to the tree. `range` contains the bytes of the value.
local function add(tree, field, range)
    local handle = fields[field.name .. "/" .. field.kind]
    local size = SIZES[field.kind]
    if field.kind == "flag" then
        tree:add(handle, "set")
    elseif field.kind == "secret" then
        local bytes = range and range:len() or 0
        if proto.prefs.show_secrets and range then
            tree:add(handle, range, range:string(ENC_UTF_8))
        else
            tree:add(handle, string.format("[%d bytes]", bytes))
        end
    elseif field.kind == "instant" then
        local seconds = range:uint64()
        tree:add(handle, range, NSTime.new(seconds:tonumber(), 0))
    elseif field.kind == "instant_ms" then
        local millis = range:uint64():tonumber()
        local seconds = math.floor(millis / 1000)
        tree:add(handle, range, NSTime.new(seconds, (millis - seconds * 1000) * 1000000))
    elseif size or (field.kind == "bytes" and range) then
        tree:add(handle, range)
    elseif range then
        tree:add(handle, range, range:string(ENC_UTF_8))
    else
        tree:add(handle, "")
    end
end

local function range_of(tvb, at, size)
    if size == 0 then
        return nil
    end
    return tvb(at, size)
end

local dissect_body

-- Dissects the rows of a list that begins at `at`. Returns the offset of its end.
local function dissect_list(tvb, at, last, tree, field)
    if at + 2 > last then
        malformed(field.name)
    end
    local count = tvb(at, 2):uint()
    local list = tree:add(proto, tvb(at, 2), string.format("%s: %d rows", field.name, count))
    at = at + 2
    for number = 1, count do
        if at + 2 > last then
            malformed(field.name)
        end
        local size = tvb(at, 2):uint()
        if at + 2 + size > last then
            malformed(field.name)
        end
        local row = list:add(proto, tvb(at, 2 + size), string.format("row %d", number))
        dissect_body(tvb, at + 2, at + 2 + size, row, field.rows, {})
        at = at + 2 + size
    end
    return at
end

-- Dissects required fields and the tagged tail between two offsets.
dissect_body = function(tvb, at, last, tree, layout, common)
    local tags = {}
    for _, field in ipairs(common) do
        tags[field.tag] = field
    end
    for _, field in ipairs(layout) do
        if field.tag then
            tags[field.tag] = field
        elseif field.kind == "list" then
            at = dissect_list(tvb, at, last, tree, field)
        else
            local size = SIZES[field.kind]
            if not size then
                if at + 2 > last then
                    malformed(field.name)
                end
                size = tvb(at, 2):uint()
                at = at + 2
            end
            if at + size > last then
                malformed(field.name)
            end
            add(tree, field, range_of(tvb, at, size))
            at = at + size
        end
    end
    local previous = -1
    while at < last do
        if at + 3 > last then
            malformed("tail")
        end
        local tag, size = tvb(at, 1):uint(), tvb(at + 1, 2):uint()
        if tag <= previous or at + 3 + size > last then
            malformed("tail")
        end
        local field = tags[tag]
        if field then
            if SIZES[field.kind] and SIZES[field.kind] ~= size then
                malformed(field.name)
            end
            if field.kind == "list" then
                dissect_list(tvb, at + 3, at + 3 + size, tree, field)
            else
                add(tree, field, range_of(tvb, at + 3, size))
            end
        else
            tree:add(tag_field, tvb(at, 1))
        end
        previous = tag
        at = at + 3 + size
    end
end

local function frame_size(tvb, _, offset)
    local length = tvb(offset, 4):uint()
    if length < MIN_LENGTH or length > MAX_LENGTH then
        -- The start of the next frame is unknown.
        return tvb:len() - offset
    end
    return 4 + length
end

local function dissect_frame(tvb, pinfo, root)
    pinfo.cols.protocol = "USER"
    local tree = root:add(proto, tvb())
    local length = tvb(0, 4):uint()
    tree:add(length_field, tvb(0, 4))
    if length < MIN_LENGTH or length > MAX_LENGTH then
        tree:add(malformed_field, "length")
        return tvb:len()
    end
    local number, id = tvb(4, 1):uint(), tvb(5, 4):uint()
    tree:add(type_field, tvb(4, 1))
    tree:add(id_field, tvb(5, 4))
    local message = MESSAGES[number]
    if not message then
        tree:add(malformed_field, "type")
        return tvb:len()
    end
    tree:add(message_field, message.name)
    tree:append_text(string.format(", %s, request id %d", message.name, id))
    pinfo.cols.info:append(string.format(" %s(%d)", message.name, id))
    local common = number < REPLY_BIT and COMMON or {}
    local ok, fault = pcall(dissect_body, tvb, 9, tvb:len(), tree, message.fields, common)
    if not ok then
        tree:add(malformed_field, type(fault) == "table" and fault.malformed or tostring(fault))
    end
    return tvb:len()
end

function proto.dissector(tvb, pinfo, root)
    pinfo.cols.info = ""
    dissect_tcp_pdus(tvb, root, 4, frame_size, dissect_frame)
    return tvb:len()
end

DissectorTable.get("tcp.port"):add(3001, proto)
