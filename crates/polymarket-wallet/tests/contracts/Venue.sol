// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

// Stand-ins for the venue's contracts, just large enough to prove that our calls, digests and signatures
// mean on a real EVM what they should. They take no care of anything else: never deploy them anywhere.

/// An ERC-20 with six decimals that anybody may mint.
contract Token {
    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;
    uint256 public totalSupply;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
        totalSupply += amount;
    }

    function burn(address from, uint256 amount) external {
        require(balanceOf[from] >= amount, "balance too low");
        balanceOf[from] -= amount;
        totalSupply -= amount;
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        allowance[msg.sender][spender] = amount;
        return true;
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        move(msg.sender, to, amount);
        return true;
    }

    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        uint256 allowed = allowance[from][msg.sender];
        require(allowed >= amount, "allowance too low");
        if (allowed != type(uint256).max) allowance[from][msg.sender] = allowed - amount;
        move(from, to, amount);
        return true;
    }

    function move(address from, address to, uint256 amount) internal {
        require(balanceOf[from] >= amount, "balance too low");
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
    }
}

/// Positions: the ERC-1155 half of Conditional Tokens and of the PositionManager. Anybody may mint.
contract Positions {
    mapping(address => mapping(uint256 => uint256)) public balanceOf;
    mapping(address => mapping(address => bool)) public isApprovedForAll;
    mapping(bytes32 => uint256[2]) internal payouts;

    function setApprovalForAll(address operator, bool approved) external {
        isApprovedForAll[msg.sender][operator] = approved;
    }

    function positionOf(bytes32 condition, uint256 outcome) public pure returns (uint256) {
        return uint256(keccak256(abi.encode(condition, outcome)));
    }

    function mint(address to, bytes32 condition, uint256 outcome, uint256 amount) external {
        balanceOf[to][positionOf(condition, outcome)] += amount;
    }

    function take(address from, bytes32 condition, uint256 outcome, uint256 amount) external {
        require(isApprovedForAll[from][msg.sender], "operator not approved");
        uint256 id = positionOf(condition, outcome);
        require(balanceOf[from][id] >= amount, "too few shares");
        balanceOf[from][id] -= amount;
    }

    function resolve(bytes32 condition, uint256 yes, uint256 no) external {
        payouts[condition] = [yes, no];
    }

    function payoutDenominator(bytes32 condition) external view returns (uint256) {
        return payouts[condition][0] + payouts[condition][1];
    }

    function payoutNumerators(bytes32 condition, uint256 index) external view returns (uint256) {
        return payouts[condition][index];
    }
}

/// Both adapters in one, and the router of protocol v2.
contract Adapter {
    Token immutable collateral;
    Positions immutable positions;
    /// Questions of a neg-risk market.
    mapping(bytes32 => bytes32[]) internal questions;

    constructor(Token collateral_, Positions positions_) {
        collateral = collateral_;
        positions = positions_;
    }

    function addQuestion(bytes32 market, bytes32 condition) external {
        questions[market].push(condition);
    }

    function splitPosition(address, bytes32, bytes32 condition, uint256[] calldata, uint256 amount) external {
        doSplit(condition, amount);
    }

    function mergePositions(address, bytes32, bytes32 condition, uint256[] calldata, uint256 amount) external {
        doMerge(condition, amount);
    }

    function redeemPositions(address, bytes32, bytes32 condition, uint256[] calldata) external {
        uint256 all = positions.payoutDenominator(condition);
        require(all > 0, "not resolved");
        uint256 paid;
        for (uint256 i = 0; i < 2; i++) {
            uint256 held = positions.balanceOf(msg.sender, positions.positionOf(condition, i));
            positions.take(msg.sender, condition, i, held);
            paid += held * positions.payoutNumerators(condition, i) / all;
        }
        collateral.transfer(msg.sender, paid);
    }

    function convertPositions(bytes32 market, uint256 indexSet, uint256 amount) external {
        uint256 bits;
        for (uint256 i = 0; i < questions[market].length; i++) {
            bytes32 condition = questions[market][i];
            if (indexSet >> i & 1 == 1) {
                positions.take(msg.sender, condition, 1, amount);
                bits += 1;
            } else {
                positions.mint(msg.sender, condition, 0, amount);
            }
        }
        require(bits > 0, "no question");
        collateral.transfer(msg.sender, (bits - 1) * amount);
    }

    function split(bytes31 condition, uint256 amount) external {
        doSplit(bytes32(condition), amount);
    }

    function merge(bytes31 condition, uint256 amount) external {
        doMerge(bytes32(condition), amount);
    }

    function redeem(bytes31 condition, uint256 outcome, uint256 amount) external {
        uint256 all = positions.payoutDenominator(bytes32(condition));
        require(all > 0, "not resolved");
        positions.take(msg.sender, bytes32(condition), outcome, amount);
        collateral.transfer(msg.sender, amount * positions.payoutNumerators(bytes32(condition), outcome) / all);
    }

    function doSplit(bytes32 condition, uint256 amount) internal {
        collateral.transferFrom(msg.sender, address(this), amount);
        positions.mint(msg.sender, condition, 0, amount);
        positions.mint(msg.sender, condition, 1, amount);
    }

    function doMerge(bytes32 condition, uint256 amount) internal {
        positions.take(msg.sender, condition, 0, amount);
        positions.take(msg.sender, condition, 1, amount);
        collateral.transfer(msg.sender, amount);
    }
}

/// Onramp and offramp in one.
contract Ramp {
    Token immutable collateral;

    constructor(Token collateral_) {
        collateral = collateral_;
    }

    function wrap(address asset, address to, uint256 amount) external {
        Token(asset).transferFrom(msg.sender, address(this), amount);
        collateral.mint(to, amount);
    }

    function unwrap(address asset, address to, uint256 amount) external {
        collateral.transferFrom(msg.sender, address(this), amount);
        collateral.burn(address(this), amount);
        Token(asset).transfer(to, amount);
    }
}

struct Order {
    uint256 salt;
    address maker;
    address signer;
    uint256 tokenId;
    uint256 makerAmount;
    uint256 takerAmount;
    uint8 side;
    uint8 signatureType;
    uint256 timestamp;
    bytes32 metadata;
    bytes32 builder;
}

/// The hashing half of an exchange.
contract Exchange {
    bytes32 constant ORDER = keccak256(
        "Order(uint256 salt,address maker,address signer,uint256 tokenId,uint256 makerAmount,uint256 takerAmount,uint8 side,uint8 signatureType,uint256 timestamp,bytes32 metadata,bytes32 builder)"
    );
    mapping(address => bool) public isUserPaused;

    function getMaxFeeRate() external pure returns (uint256) {
        return 1000;
    }

    function pauseUser() external {
        isUserPaused[msg.sender] = true;
    }

    function unpauseUser() external {
        isUserPaused[msg.sender] = false;
    }

    function digest(Order calldata o) public view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Polymarket CTF Exchange"),
                keccak256("2"),
                block.chainid,
                address(this)
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain, keccak256(abi.encode(ORDER, o))));
    }

    function recover(Order calldata o, bytes calldata signature) external view returns (address) {
        return Signature.signer(digest(o), signature);
    }
}

library Signature {
    function signer(bytes32 hash, bytes calldata s) internal pure returns (address) {
        if (s.length != 65) return address(0);
        return ecrecover(hash, uint8(s[64]), bytes32(s[0:32]), bytes32(s[32:64]));
    }
}

/// A deposit wallet that accepts its owner's signature over the plain digest.
contract PlainWallet {
    address public immutable owner;

    constructor(address owner_) {
        owner = owner_;
    }

    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        return Signature.signer(hash, signature) == owner ? this.isValidSignature.selector : bytes4(0xffffffff);
    }
}

struct Call {
    address target;
    uint256 value;
    bytes data;
}

/// A deposit wallet that accepts only ERC-7739 nested typed data, and batches its owner signed.
contract WrappedWallet {
    address public immutable owner;
    uint256 public nonce;

    constructor(address owner_) {
        owner = owner_;
    }

    function isValidSignature(bytes32 hash, bytes calldata s) external view returns (bytes4) {
        bytes4 no = 0xffffffff;
        if (s.length < 131) return no;
        uint256 typeLength = uint16(bytes2(s[s.length - 2:]));
        if (s.length != 131 + typeLength) return no;
        bytes32 domain = bytes32(s[65:97]);
        bytes32 contents = bytes32(s[97:129]);
        if (keccak256(abi.encodePacked(hex"1901", domain, contents)) != hash) return no;
        bytes32 wrapped = keccak256(
            abi.encode(typedDataSign(s[129:129 + typeLength]), contents, keccak256("DepositWallet"), keccak256("1"), block.chainid, address(this), bytes32(0))
        );
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", domain, wrapped));
        return Signature.signer(digest, s[0:65]) == owner ? this.isValidSignature.selector : no;
    }

    /// The type hash, with the name of the contents taken from their own type string.
    function typedDataSign(bytes calldata contentsType) internal pure returns (bytes32) {
        uint256 name;
        while (contentsType[name] != "(") name++;
        return keccak256(
            abi.encodePacked(
                "TypedDataSign(", contentsType[0:name], " contents,string name,string version,uint256 chainId,address verifyingContract,bytes32 salt)", contentsType
            )
        );
    }

    /// What the factory does for the relayer: runs a batch that the owner signed.
    function execute(uint256 batchNonce, uint256 deadline, Call[] calldata calls, bytes calldata signature) external {
        require(batchNonce == nonce, "nonce");
        require(block.timestamp <= deadline, "too late");
        bytes32[] memory hashes = new bytes32[](calls.length);
        for (uint256 i = 0; i < calls.length; i++) {
            hashes[i] = keccak256(
                abi.encode(keccak256("Call(address target,uint256 value,bytes data)"), calls[i].target, calls[i].value, keccak256(calls[i].data))
            );
        }
        bytes32 batch = keccak256(
            abi.encode(
                keccak256("Batch(address wallet,uint256 nonce,uint256 deadline,Call[] calls)Call(address target,uint256 value,bytes data)"),
                address(this),
                batchNonce,
                deadline,
                keccak256(abi.encodePacked(hashes))
            )
        );
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("DepositWallet"),
                keccak256("1"),
                block.chainid,
                address(this)
            )
        );
        require(Signature.signer(keccak256(abi.encodePacked(hex"1901", domain, batch)), signature) == owner, "signature");
        nonce += 1;
        for (uint256 i = 0; i < calls.length; i++) {
            (bool ok,) = calls[i].target.call{value: calls[i].value}(calls[i].data);
            require(ok, "call failed");
        }
    }
}

/// The factory's beacon.
contract Factory {
    function BEACON() external view returns (address) {
        return address(this);
    }
}

/// Fails only when its state says so: to fail in a block though the simulation went well.
contract Trap {
    bool armed;

    function arm() external {
        armed = true;
    }

    function step() external view {
        require(!armed, "the trap is armed");
    }
}
